"""What a store holds at one moment, as a reader sees it."""

from __future__ import annotations

import contextlib
import operator
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.blocks import Block, Space
from arrowmind.memory.storage.carrying import carried
from arrowmind.memory.storage.cold_rows import open_rows
from arrowmind.memory.storage.directory import Directory
from arrowmind.memory.storage.lifecycle_tables import archived_ids
from arrowmind.memory.storage.numbering import distinct
from arrowmind.memory.storage.rows import Rows, appended, concatenate, rows_of_pending
from arrowmind.memory.storage.spaces import HOME, TEXT, SpaceRow, all_spaces
from arrowmind.memory.times import NEVER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.memory.storage.blocks import Filter
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.reviving import Reviver
    from arrowmind.memory.storage.tables import IndexRow, SegmentRow

__all__ = ["Snapshot", "SnapshotReader"]

_PENDING = "the catalogue"
_ATTEMPTS = 5
_NO_SPACE = SpaceRow(HOME, TEXT, 0, "")


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
        sought = distinct(np.asarray(ids, dtype=np.int64))
        return set(sought[self.admits(sought, wanted)].tolist())

    def admits(self, ids: npt.NDArray[np.int64], wanted: Filter) -> npt.NDArray[np.bool_]:
        """Which of the memories, ascending and unique, are neither forgotten nor left out."""
        if wanted.takes_all and not self._has_expired(wanted.now):
            return self.home.living(ids, archived=wanted.archived)
        found = np.zeros(len(ids), dtype=np.bool_)
        for block, rows in self.home.grouped(ids):
            live = wanted.admits(block.rows, rows)
            if block.dead is not None:
                live &= ~block.dead[rows]
            if block.archived is not None and not wanted.archived:
                live &= ~block.archived[rows]
            found[np.searchsorted(ids, block.rows.ids[rows[live]])] = True
        return found

    def _has_expired(self, now: int) -> bool:
        return any(NEVER != block.rows.first_expiry <= now for block in self.blocks)


class SnapshotReader:
    """Reads snapshots, sharing with the last one whatever did not change. Not safe for use by two threads."""

    def __init__(self, catalogue: Catalogue, paths: StorePaths, reviver: Reviver) -> None:
        self._catalogue = catalogue
        self._paths = paths
        self._reviver = reviver
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

        It is not kept: what is taken back must not be in a later state.

        Raises:
            FileNotFoundError: a segment is gone.
        """
        return self._current(db)

    def _read_once(self) -> Snapshot:
        with self._catalogue.reading() as db:
            self._last = self._current(db)
        return self._last

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
            waiting = self._waiting(db, row)
            pending = Block(waiting, None, None, _mark(waiting, archived))
            spaces.append(Space(row, (*blocks, pending), self._directory(row, blocks)))
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

    def _waiting(self, db: sqlite3.Connection, row: SpaceRow) -> Rows:
        """What waits in the catalogue. Its rows never change: those of the last state are not read again."""
        last = self._last.space(row.name) if self._last else None
        if self._last is None or last is None or last.row != row or not len(last.pending.rows):
            return _pending(db, row, 0)
        known = last.pending.rows
        there = np.isin(known.ids, tables.pending_ids(db, self._last.last_pending))
        if not there.all():
            known = concatenate([(known, there)], signs=False)
        new = _pending(db, row, self._last.last_pending)
        return appended(known, new) if len(new) else known

    def _directory(self, row: SpaceRow, blocks: Sequence[Block]) -> Directory:
        """That of the last state, if the segments of a space are the same."""
        parts = tuple(block.rows for block in blocks)
        last = self._last.space(row.name) if self._last else None
        known = last.directory if last is not None else Directory(())
        same = len(known.parts) == len(parts) and all(map(operator.is_, known.parts, parts))
        return known if same else Directory(parts)

    def _map(self, segments: list[SegmentRow], dimensions: dict[int, int]) -> None:
        mapped = {}
        for segment in segments:
            known = self._mapped.get(segment.name)
            path, dimension = self._paths.segments / segment.name, dimensions.get(segment.space, 0)
            reviver = self._reviver if segment.space == HOME else None
            mapped[segment.name] = known or open_rows(path, segment, dimension, reviver, self._paths.files)
        if self._reviver.is_able:
            self._reviver.keep(carried(*_changed(self._mapped, mapped)))
        self._mapped = mapped


def _changed(
    before: Mapping[str, list[Rows]], after: Mapping[str, list[Rows]]
) -> tuple[list[Rows], list[Rows]]:
    """Rows of files that went, and of those that came."""
    gone, came = (
        [rows for name, parts in some.items() if name not in others for rows in parts]
        for some, others in ((before, after), (after, before))
    )
    return gone, came


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
    joined = appended(space.pending.rows, new)
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
