"""Where memories lie: one sorted list over all segments of a space, made when it is first asked."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from arrowmind.memory.rows import Rows

    IntArray = npt.NDArray[np.int64]

__all__ = ["Directory"]


class Directory:
    """Looks memories up in many blocks at once. Segments never change, so it serves as long as they do.

    It takes 16 bytes per memory; blocks by themselves would be searched one after the other.
    """

    def __init__(self, parts: Sequence[Rows]) -> None:
        """Takes the rows of all blocks, in their order."""
        self.parts = tuple(parts)

    @cached_property
    def _sorted(self) -> tuple[IntArray, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Ids, the number of the block and the first row of each memory."""
        none = [np.empty(0, np.int64)]
        ids = np.concatenate([*none, *(rows.ids[rows.first_rows] for rows in self.parts)])
        firsts = np.concatenate([*none, *(rows.first_rows for rows in self.parts)]).astype(np.int32)
        counts = [len(rows.first_rows) for rows in self.parts]
        owners = np.repeat(np.arange(len(self.parts), dtype=np.int32), counts)
        if np.any(ids[1:] < ids[:-1]):
            order = np.argsort(ids, kind="stable")
            return ids[order], owners[order], firsts[order]
        return ids, owners, firsts

    @property
    def ids(self) -> IntArray:
        """All memories, ascending."""
        return self._sorted[0]

    def grouped(self, ids: IntArray) -> Iterator[tuple[int, IntArray]]:
        """Numbers of blocks with the first rows of those of some memories, ascending and unique, in them."""
        known, owners, firsts = self._sorted
        if not len(known) or not len(ids):
            return
        places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        places = places[known[places] == ids]
        numbers = owners[places]
        order = np.argsort(numbers, kind="stable")
        numbers, rows = numbers[order], firsts[places[order]].astype(np.int64)
        borders = np.flatnonzero(np.diff(numbers)) + 1
        starts = [0, *borders.tolist()] if len(numbers) else []
        for start, part in zip(starts, np.split(rows, borders), strict=bool(starts)):
            yield int(numbers[start]), part
