"""What a store holds at one moment, as a reader sees it."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import MemoryStoreError
from arrowmind.memory import tables
from arrowmind.memory.lifecycle_tables import archived_ids
from arrowmind.memory.rows import Rows, concatenate, rows_of_pending
from arrowmind.memory.segment import open_segment
from arrowmind.memory.spaces import HOME, TEXT, SpaceRow, all_spaces
from arrowmind.memory.times import NEVER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.memory.catalogue import Catalogue
    from arrowmind.memory.tables import IndexRow, SegmentRow

__all__ = ["Block", "Filter", "Snapshot", "SnapshotReader", "Space"]

_PENDING = "the catalogue"
_ATTEMPTS = 5
_NO_SPACE = SpaceRow(HOME, TEXT, 0, "")


@dataclass(frozen=True)
class Filter:
    """What a recall leaves out.

    Attributes:
        now: memories that expired by then are left out, microseconds.
        category: only this one, if given.
        since: only memories from then on, microseconds, if given.
        until: only memories before then, microseconds, if given.
        namespace: only of this one, if given.
        presence: bits of what a memory must hold.
        archived: whether memories are looked for that no search finds.
    """

    now: int
    category: int | None = None
    since: int | None = None
    until: int | None = None
    namespace: int | None = None
    presence: int = 0
    archived: bool = False

    def excluded(self, rows: Rows) -> npt.NDArray[np.bool_] | None:
        """Which rows are left out; None when none is."""
        masks = []
        if rows.first_expiry != NEVER and rows.first_expiry <= self.now:
            masks.append((rows.expires != NEVER) & (rows.expires <= self.now))
        if self.category is not None:
            masks.append(rows.categories != self.category)
        if self.since is not None:
            masks.append(rows.timestamps < self.since)
        if self.until is not None:
            masks.append(rows.timestamps >= self.until)
        if self.namespace is not None:
            masks.append(rows.namespaces != self.namespace)
        if self.presence & ~rows.presence_of_all:
            masks.append((rows.presences & self.presence) != self.presence)
        return np.logical_or.reduce(masks) if masks else None

    def admits(self, rows: Rows, chosen: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """Which of a few rows are looked for."""
        expires, timestamps = rows.expires[chosen], rows.timestamps[chosen]
        admitted: npt.NDArray[np.bool_] = (expires == NEVER) | (expires > self.now)
        if self.category is not None:
            admitted &= rows.categories[chosen] == self.category
        if self.since is not None:
            admitted &= timestamps >= self.since
        if self.until is not None:
            admitted &= timestamps < self.until
        if self.namespace is not None:
            admitted &= rows.namespaces[chosen] == self.namespace
        if self.presence:
            admitted &= (rows.presences[chosen] & self.presence) == self.presence
        return admitted


@dataclass(frozen=True)
class Block:
    """Rows that are searched together, and which of them are forgotten.

    Attributes:
        rows: the rows.
        dead: bool [n], or None when none is forgotten.
        segment: where they lie; None for the catalogue.
        archived: bool [n], what no search finds; None when nothing is.
    """

    rows: Rows
    dead: npt.NDArray[np.bool_] | None
    segment: SegmentRow | None
    archived: npt.NDArray[np.bool_] | None = None

    def excluded(self, wanted: Filter) -> npt.NDArray[np.bool_] | None:
        """Which rows a search leaves out; None when none is."""
        filtered = wanted.excluded(self.rows)
        if self.dead is None or filtered is None:
            return self.dead if filtered is None else filtered
        return self.dead | filtered

    def bitmap(self, wanted: Filter) -> npt.NDArray[np.uint8] | None:
        """The same for the scan kernels, one bit per row."""
        filtered = wanted.excluded(self.rows)
        if filtered is None:
            return self._hidden_bitmap
        hidden = self._hidden
        return np.packbits(filtered if hidden is None else filtered | hidden, bitorder="little")

    @cached_property
    def _hidden(self) -> npt.NDArray[np.bool_] | None:
        """What no search finds: forgotten or archived."""
        masks = [mask for mask in (self.dead, self.archived) if mask is not None]
        return np.logical_or.reduce(masks) if masks else None

    @cached_property
    def _hidden_bitmap(self) -> npt.NDArray[np.uint8] | None:
        return None if self._hidden is None else np.packbits(self._hidden, bitorder="little")

    def is_live(self, row: int) -> bool:
        """Whether the memory of this row is not forgotten."""
        return self.dead is None or not self.dead[row]


@dataclass(frozen=True)
class Space:
    """All vectors of one space.

    Attributes:
        row: number, name, dimension and encoder.
        blocks: all rows; the last block is the catalogue's.
    """

    row: SpaceRow
    blocks: tuple[Block, ...]

    @property
    def pending(self) -> Block:
        """The rows in the catalogue."""
        return self.blocks[-1]

    @property
    def vectors(self) -> int:
        """Rows of all blocks, forgotten ones too."""
        return sum(len(block.rows) for block in self.blocks)

    def places(self, id_: int) -> Iterator[tuple[Block, int]]:
        """Block and first row of each of its parts that holds a memory that is not forgotten."""
        for block in self.blocks:
            row = block.rows.find(id_)
            if row is not None and block.is_live(row):
                yield block, row


@dataclass(frozen=True)
class Snapshot:
    """One consistent state of the store.

    Attributes:
        layout: changes with everything but new pending rows.
        spaces: all vectors, those of texts first; the rows of that space carry the texts.
        last_pending: highest id in the catalogue.
        categories: names by number.
        namespaces: names by number.
        text_index: the index in use.
        joint: file of the joint embedding in use.
    """

    layout: int
    spaces: tuple[Space, ...]
    last_pending: int
    categories: dict[int, str]
    namespaces: dict[int, str]
    text_index: IndexRow | None
    joint: str | None = None

    @property
    def home(self) -> Space:
        """The space of texts."""
        return self.spaces[0]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The rows that carry the texts; the last block is the catalogue's."""
        return self.home.blocks

    @property
    def pending(self) -> Block:
        """The rows in the catalogue."""
        return self.home.pending

    @property
    def dimension(self) -> int:
        """Of the vectors of texts; 0 while there are none."""
        return self.home.row.dimension

    @property
    def vectors(self) -> int:
        """Vectors of texts, forgotten ones too."""
        return self.home.vectors

    def space(self, name: str) -> Space | None:
        """The space of this name, if it has ever had a vector."""
        return next((space for space in self.spaces if space.row.name == name), None)

    def find(self, id_: int) -> tuple[Block, int] | None:
        """Block and first row of a memory that is not forgotten."""
        return next(self.home.places(id_), None)

    def admitted(self, ids: Sequence[int], wanted: Filter) -> set[int]:
        """Those of the memories that are neither forgotten nor left out."""
        sought = np.unique(np.asarray(ids, dtype=np.int64))
        found: set[int] = set()
        for block in self.blocks:
            rows = np.searchsorted(block.rows.ids, sought)
            inside = rows < len(block.rows)
            rows, ids_here = rows[inside], sought[inside]
            rows = rows[block.rows.ids[rows] == ids_here]
            live = wanted.admits(block.rows, rows)
            if block.dead is not None:
                live &= ~block.dead[rows]
            if block.archived is not None and not wanted.archived:
                live &= ~block.archived[rows]
            found.update(block.rows.ids[rows[live]].tolist())
        return found


class SnapshotReader:
    """Reads snapshots, sharing with the last one whatever did not change. Not safe for use by two threads."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self._catalogue = catalogue
        self._folder = folder
        self._last: Snapshot | None = None
        self._mapped: dict[str, list[Rows]] = {}

    def read(self) -> Snapshot:
        """The present state.

        Raises:
            MemoryStoreError: the catalogue or a segment is damaged or missing.
        """
        for _ in range(_ATTEMPTS - 1):
            # Between the read of the catalogue and the mapping another process may have compacted.
            with contextlib.suppress(FileNotFoundError):
                return self._read_once()
        try:
            return self._read_once()
        except FileNotFoundError as error:
            raise MemoryStoreError(
                f"segment {error.filename or error} is missing; restore the store from a backup"
            ) from error

    def read_in(self, db: sqlite3.Connection) -> Snapshot:
        """The state as a transaction of the caller sees it, which may hold changes of its own.

        Raises:
            FileNotFoundError: a segment is gone.
        """
        self._last = self._current(db)
        return self._last

    def _read_once(self) -> Snapshot:
        with self._catalogue.reading() as db:
            return self.read_in(db)

    def _current(self, db: sqlite3.Connection) -> Snapshot:
        last = self._last
        layout = tables.layout(db)
        if last is None or layout != last.layout:
            return self._read_all(db, layout)
        if tables.last_pending(db) == last.last_pending:
            return last
        return self._with_new_pending(db, last)

    def _with_new_pending(self, db: sqlite3.Connection, last: Snapshot) -> Snapshot:
        rows = all_spaces(db)
        if [space.row for space in last.spaces] != rows:
            return self._read_all(db, last.layout)
        spaces = tuple(_extended(db, space, last.last_pending) for space in last.spaces)
        return replace(
            last,
            spaces=spaces,
            last_pending=int(spaces[0].pending.rows.ids[-1]),
            categories=tables.categories(db),
            namespaces=tables.namespaces(db),
        )

    def _read_all(self, db: sqlite3.Connection, layout: int) -> Snapshot:
        rows = all_spaces(db) or [_NO_SPACE]
        segments = tables.segments(db)
        self._map(segments, {row.id: row.dimension for row in rows})
        dead = defaultdict(list)
        for id_, segment in tables.tombstones(db):
            dead[segment].append(id_)
        archived, spaces = archived_ids(db), []
        for row in rows:
            blocks = [
                Block(part, _mark(part, dead[segment.id]), segment, _mark(part, archived))
                for segment in segments
                if segment.space == row.id
                for part in self._mapped[segment.name]
            ]
            waiting = _pending(db, row, 0)
            pending = Block(waiting, None, None, _mark(waiting, archived))
            spaces.append(Space(row, (*blocks, pending)))
        waiting = spaces[0].pending.rows
        return Snapshot(
            layout=layout,
            spaces=tuple(spaces),
            last_pending=int(waiting.ids[-1]) if len(waiting) else 0,
            categories=tables.categories(db),
            namespaces=tables.namespaces(db),
            text_index=tables.text_index(db),
            joint=_text_or_none(tables.settings(db).get("joint")),
        )

    def _map(self, segments: list[SegmentRow], dimensions: dict[int, int]) -> None:
        mapped = {}
        for segment in segments:
            known = self._mapped.get(segment.name)
            path, dimension = self._folder / segment.name, dimensions.get(segment.space, 0)
            mapped[segment.name] = known or open_segment(path, segment, dimension)
        self._mapped = mapped


def _pending(db: sqlite3.Connection, space: SpaceRow, last_id: int) -> Rows:
    """What waits in the catalogue with a higher id."""
    if space.id == HOME:
        waiting = tables.pending_after(db, last_id)
    else:
        waiting = tables.pending_in_space(db, space.id, last_id)
    return rows_of_pending(waiting, space.dimension, _PENDING)


def _extended(db: sqlite3.Connection, space: Space, last_id: int) -> Space:
    """The space with what came to wait in the catalogue."""
    new = _pending(db, space.row, last_id)
    if not len(new):
        return space
    known = [space.pending.rows] if len(space.pending.rows) else []
    joined = concatenate([(rows, None) for rows in [*known, new]], signs=False)
    # What is new is not archived.
    hidden = space.pending.archived
    archived = None if hidden is None else np.append(hidden, np.zeros(len(new), dtype=np.bool_))
    return replace(space, blocks=(*space.blocks[:-1], Block(joined, None, None, archived)))


def _text_or_none(value: str | int | None) -> str | None:
    return None if value is None else str(value)


def _mark(rows: Rows, dead_ids: list[int]) -> npt.NDArray[np.bool_] | None:
    if not dead_ids:
        return None
    dead: npt.NDArray[np.bool_] = np.isin(rows.ids, np.array(dead_ids, dtype=np.int64))
    return dead if dead.any() else None
