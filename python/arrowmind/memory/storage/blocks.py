"""What a search goes through: rows of one space, block by block, and which of them it leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.memory.storage.numbering import Numbering
from arrowmind.memory.times import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from arrowmind.memory.storage.directory import Directory
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.spaces import SpaceRow
    from arrowmind.memory.storage.tables import SegmentRow

    IntArray = npt.NDArray[np.int64]

__all__ = ["Block", "Filter", "Space"]

_SAMPLE = 256


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
        if self.namespace is not None and self.namespace != rows.sole_namespace:
            masks.append(rows.namespaces != self.namespace)
        if self.presence & ~rows.presence_of_all:
            masks.append((rows.presences & self.presence) != self.presence)
        return np.logical_or.reduce(masks) if masks else None

    @cached_property
    def takes_all(self) -> bool:
        """Whether only what has expired is left out."""
        given = (self.category, self.since, self.until, self.namespace)
        return not self.presence and all(value is None for value in given)

    def admits(self, rows: Rows, chosen: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """Which of a few rows are looked for."""
        if self.takes_all and (rows.first_expiry == NEVER or rows.first_expiry > self.now):
            return np.ones(len(chosen), dtype=np.bool_)
        expires, timestamps = rows.expires[chosen], rows.timestamps[chosen]
        admitted: npt.NDArray[np.bool_] = (expires == NEVER) | (expires > self.now)
        if self.category is not None:
            admitted &= rows.categories[chosen] == self.category
        if self.since is not None:
            admitted &= timestamps >= self.since
        if self.until is not None:
            admitted &= timestamps < self.until
        if self.namespace is not None and self.namespace != rows.sole_namespace:
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
        directory: where memories lie in all blocks but the last.
    """

    row: SpaceRow
    blocks: tuple[Block, ...]
    directory: Directory

    @property
    def pending(self) -> Block:
        """The rows in the catalogue."""
        return self.blocks[-1]

    @property
    def vectors(self) -> int:
        """Rows of all blocks, forgotten ones too."""
        return sum(len(block.rows) for block in self.blocks)

    def grouped(self, ids: IntArray) -> Iterator[tuple[Block, IntArray]]:
        """Blocks with the first rows of those of some memories, ascending and unique, that lie in them."""
        for number, rows in self.directory.grouped(ids):
            yield self.blocks[number], rows
        waiting = self.pending.rows
        if len(waiting):
            found = np.minimum(np.searchsorted(waiting.ids, ids), len(waiting) - 1)
            rows = found[waiting.ids[found] == ids]
            if len(rows):
                yield self.pending, rows

    @cached_property
    def _forgotten(self) -> npt.NDArray[np.bool_]:
        """What is forgotten, in the order of the directory."""
        return self._marked("dead")

    @cached_property
    def _archived(self) -> npt.NDArray[np.bool_]:
        return self._marked("archived")

    def _marked(self, name: str) -> npt.NDArray[np.bool_]:
        marks = [np.empty(0, np.bool_)]
        for block in self.blocks[:-1]:
            mask, first = getattr(block, name), block.rows.first_rows
            marks.append(np.zeros(len(first), np.bool_) if mask is None else mask[first])
        return self.directory.in_order(np.concatenate(marks))

    def living(self, ids: IntArray, *, archived: bool) -> npt.NDArray[np.bool_]:
        """Which of some memories, ascending and unique, are there and not forgotten.

        Args:
            ids: of the memories.
            archived: whether those count that no search finds.
        """
        directory, waiting = self.directory, self.pending
        places, found = directory.look_up(ids)
        if len(directory.ids):
            found &= ~self._forgotten[places]
            if not archived:
                found &= ~self._archived[places]
        if len(waiting.rows):
            rows = np.minimum(np.searchsorted(waiting.rows.ids, ids), len(waiting.rows) - 1)
            here = waiting.rows.ids[rows] == ids
            if waiting.archived is not None and not archived:
                here &= ~waiting.archived[rows]
            found |= here
        return found

    def moments(self, ids: IntArray) -> tuple[IntArray, IntArray]:
        """When some memories, ascending and unique, were told, and their namespaces' numbers.

        Both are -1 for those that are not there.
        """
        directory, waiting = self.directory, self.pending.rows
        places, found = directory.look_up(ids)
        moments, namespaces = np.full(len(ids), -1, np.int64), np.full(len(ids), -1, np.int64)
        if len(directory.ids):
            moments[found] = directory.timestamps[places[found]]
            namespaces[found] = directory.namespaces[places[found]]
        if len(waiting):
            rows = np.minimum(np.searchsorted(waiting.ids, ids), len(waiting) - 1)
            here = waiting.ids[rows] == ids
            moments[here], namespaces[here] = waiting.timestamps[rows[here]], waiting.namespaces[rows[here]]
        return moments, namespaces

    @cached_property
    def numbering(self) -> Numbering:
        """The rows of all blocks, counted on from each to the next."""
        return Numbering([block.rows for block in self.blocks])

    @cached_property
    def sample(self) -> npt.NDArray[np.float32]:
        """Vectors of 256 rows at equal distances, of all where there are fewer, float32 [n, dimension]."""
        total = self.vectors
        wanted = np.unique(np.linspace(0, max(total - 1, 0), min(total, _SAMPLE)).astype(np.int64))
        vectors, start = [np.empty((0, self.row.dimension), np.float32)], 0
        for block in self.blocks:
            rows = block.rows
            here = wanted[(wanted >= start) & (wanted < start + len(rows))] - start
            # A memory without this kind has a vector of zeros in the space of texts; it is no measure.
            here = here[rows.scales[here] > 0]
            if len(here):
                vectors.append(rows.vectors(here))
            start += len(rows)
        return np.concatenate(vectors)

    def rows_of(self, ids: IntArray) -> IntArray:
        """First rows, in that numbering and ascending, of those of some memories that are there."""
        directory, waiting, starts = self.directory, self.pending.rows, self.numbering.starts
        rows = directory.rows_of(ids, starts)
        if len(waiting):
            found = np.minimum(np.searchsorted(waiting.ids, ids), len(waiting) - 1)
            rows = np.append(rows, starts[-2] + found[waiting.ids[found] == ids])
        return np.sort(rows)

    def around(self, ids: IntArray, reach: int) -> IntArray:
        """Ids next to those of some memories in number, nearest first, int64 [n, 2, reach].

        The first column holds lower ids, the second higher ones, forgotten memories too; -1 stands where
        there are no more.
        """
        waiting = self.pending.rows
        if not len(waiting):
            return _next_to(self.directory.ids, ids, reach)
        parts = (self.directory.ids, waiting.ids[waiting.first_rows])
        both = np.concatenate([_next_to(part, ids, reach) for part in parts], axis=2)
        distance = np.where(both < 0, np.iinfo(np.int64).max, np.abs(both - ids[:, None, None]))
        order = np.argsort(distance, axis=2, kind="stable")[:, :, :reach]
        return np.take_along_axis(both, order, axis=2)

    def places(self, id_: int) -> Iterator[tuple[Block, int]]:
        """Block and first row of each of its parts that holds a memory that is not forgotten."""
        for block in self.blocks:
            row = block.rows.find(id_)
            if row is not None and block.is_live(row):
                yield block, row


def _next_to(known: IntArray, ids: IntArray, reach: int) -> IntArray:
    """Of ascending ids those below and above each of some others, [n, 2, reach]."""
    left, right = np.searchsorted(known, ids, side="left"), np.searchsorted(known, ids, side="right")
    steps = np.arange(reach)
    places = np.stack([left[:, None] - 1 - steps, right[:, None] + steps], axis=1)
    inside = (places >= 0) & (places < len(known))
    if not len(known):
        return np.full(places.shape, -1, dtype=np.int64)
    return np.where(inside, known[np.clip(places, 0, len(known) - 1)], -1)
