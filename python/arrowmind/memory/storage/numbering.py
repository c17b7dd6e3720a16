"""All rows of a space under one numbering: what is asked of them goes to the kernels in one call."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.storage.rows import Rows

    IntArray = npt.NDArray[np.int64]

__all__ = ["Numbering", "distinct"]


class Numbering:
    """Rows of several blocks, counted on from each block to the next."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        """Takes the rows of all blocks, in their order."""
        self._parts = tuple(parts)
        lengths = [len(rows) for rows in self._parts]
        self.starts: IntArray = np.cumsum([0, *lengths]).astype(np.int64)

    @cached_property
    def tables(self) -> _native.ScanTables:
        """The vectors of all rows."""
        parts = self._parts
        return _native.ScanTables(
            [rows.codes for rows in parts], [rows.scales for rows in parts], [rows.signs for rows in parts]
        )

    def cosines(
        self, query: npt.NDArray[np.float32], rows: IntArray, threads: int, finalists: int = 0
    ) -> npt.NDArray[np.float32]:
        """Cosines of some rows, ascending, with a query.

        Args:
            query: float32 [dimension], of length 1.
            rows: numbers of rows.
            threads: of the search.
            finalists: of the cold rows of each block, for how many of the best the vectors are made again.
        """
        if not self._cold:
            return self.tables.dot(query, rows, threads)
        borders = np.searchsorted(rows, self.starts)
        found, has_vector = np.empty(len(rows), np.float32), np.ones(len(rows), np.bool_)
        for number in self._cold:
            here = slice(borders[number], borders[number + 1])
            if borders[number] < borders[number + 1]:
                chosen = rows[here] - self.starts[number]
                found[here] = self._parts[number].cosines(query, chosen, finalists)
                has_vector[here] = False
        found[has_vector] = self.tables.dot(query, rows[has_vector], threads)
        return found

    @cached_property
    def _cold(self) -> list[int]:
        """Numbers of blocks without vectors."""
        return [number for number, rows in enumerate(self._parts) if rows.is_cold]

    def ids_and_windows(self, rows: IntArray) -> tuple[IntArray, npt.NDArray[np.int32]]:
        """What some rows, ascending, belong to."""
        borders = np.searchsorted(rows, self.starts)
        ids, windows = np.empty(len(rows), np.int64), np.empty(len(rows), np.int32)
        for number in np.flatnonzero(np.diff(borders)).tolist():
            here = slice(borders[number], borders[number + 1])
            chosen, part = rows[here] - self.starts[number], self._parts[number]
            ids[here], windows[here] = part.ids[chosen], part.windows[chosen]
        return ids, windows

    def windows_of(self, rows: IntArray) -> IntArray:
        """How many rows each of the memories has that begin at some rows, ascending."""
        if self._single:
            return np.ones(len(rows), dtype=np.int64)
        borders = np.searchsorted(rows, self.starts)
        counts = np.empty(len(rows), np.int64)
        for number in np.flatnonzero(np.diff(borders)).tolist():
            here = slice(borders[number], borders[number + 1])
            chosen, part = rows[here] - self.starts[number], self._parts[number]
            counts[here] = np.searchsorted(part.ids, part.ids[chosen], side="right") - chosen
        return counts

    @cached_property
    def _single(self) -> bool:
        """Whether no memory has more than one row."""
        return all(len(rows.first_rows) == len(rows) for rows in self._parts)


def distinct(values: IntArray) -> IntArray:
    """Each value once, ascending: for hundreds of them several times faster than `numpy.unique`."""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
