"""Where memories lie: one sorted list over all segments of a space, made when it is first asked."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from arrowmind.memory.storage.rows import Rows

    IntArray = npt.NDArray[np.int64]

__all__ = ["Directory"]

_NONE = np.empty(0, np.int64)


class Directory:
    """Looks memories up in many blocks at once. Segments never change, so it serves as long as they do.

    It takes 28 bytes per memory; blocks by themselves would be searched one after the other.
    """

    def __init__(self, parts: Sequence[Rows]) -> None:
        """Takes the rows of all blocks, in their order."""
        self.parts = tuple(parts)

    @cached_property
    def _sorted(self) -> tuple[IntArray, npt.NDArray[np.int32], npt.NDArray[np.int32], IntArray | None]:
        """Ids, the number of the block and the first row of each memory; and what put them in order."""
        ids = self._column("ids")
        firsts = np.concatenate([_NONE, *(rows.first_rows for rows in self.parts)]).astype(np.int32)
        counts = [len(rows.first_rows) for rows in self.parts]
        owners = np.repeat(np.arange(len(self.parts), dtype=np.int32), counts)
        if not np.any(ids[1:] < ids[:-1]):
            return ids, owners, firsts, None
        order = np.argsort(ids, kind="stable")
        return ids[order], owners[order], firsts[order], order

    def _column(self, name: str) -> IntArray:
        """Values of the first rows of all blocks, in their order."""
        parts = [getattr(rows, name)[rows.first_rows] for rows in self.parts]
        found: IntArray = np.concatenate(parts) if parts else _NONE
        return found

    def in_order(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of the first rows of all blocks, in the order of ids."""
        order = self._sorted[3]
        return values if order is None else values[order]

    @property
    def ids(self) -> IntArray:
        """All memories, ascending."""
        return self._sorted[0]

    @cached_property
    def timestamps(self) -> IntArray:
        """When each was told, microseconds, in the order of ids."""
        return self.in_order(self._column("timestamps"))

    @cached_property
    def namespaces(self) -> IntArray:
        """Numbers of their namespaces, in the order of ids."""
        return self.in_order(self._column("namespaces"))

    def places(self, ids: IntArray) -> IntArray:
        """Where those of some memories stand in `ids` that are there."""
        places, found = self.look_up(ids)
        return places[found]

    def look_up(self, ids: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """A place in `ids` for each of some memories, and whether it is there."""
        known = self.ids
        if not len(known):
            return np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.bool_)
        places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return places, known[places] == ids

    def rows_of(self, ids: IntArray, starts: IntArray) -> IntArray:
        """First rows of those of some memories that are there, block ``i`` counted from ``starts[i]``."""
        _, owners, firsts, _ = self._sorted
        places = self.places(ids)
        rows: IntArray = starts[owners[places]] + firsts[places]
        return rows

    def grouped(self, ids: IntArray) -> Iterator[tuple[int, IntArray]]:
        """Numbers of blocks with the first rows of those of some memories, ascending and unique, in them."""
        _, owners, firsts, _ = self._sorted
        places = self.places(ids)
        if not len(places):
            return
        numbers = owners[places]
        order = np.argsort(numbers, kind="stable")
        numbers, rows = numbers[order], firsts[places[order]].astype(np.int64)
        borders = np.flatnonzero(np.diff(numbers)) + 1
        for start, part in zip([0, *borders.tolist()], np.split(rows, borders), strict=True):
            yield int(numbers[start]), part
