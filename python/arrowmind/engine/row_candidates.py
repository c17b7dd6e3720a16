"""The largest of each row of results, and sums over all of it: what leaves a device where rows need not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arrowmind.generate import CandidateRow, Candidates
from arrowmind.generate.sampling.selection import highest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from arrowmind.generate import CandidateNeed

__all__ = ["RowCandidates", "asked", "candidates_in", "candidates_of", "told"]


class RowCandidates(NamedTuple):
    """Of each row.

    Attributes:
        columns: int64 [rows, count], best first, of equals the first.
        values: float32 [rows, count]; the first is NaN where the row has any, and its others may be any.
        sums: float32 [rows, temperatures]: of exp((x - largest) / temperature), over the row.
    """

    columns: NDArray[np.int64]
    values: NDArray[np.float32]
    sums: NDArray[np.float32]


def candidates_in(words: NDArray[np.uint32], count: int) -> RowCandidates:
    """Those in the words that a device gives, uint32 [rows, 2 * count + temperatures]."""
    columns, values, sums = np.split(words, [count, 2 * count], axis=1)
    floats = (np.ascontiguousarray(each).view(np.float32) for each in (values, sums))
    return RowCandidates(columns.astype(np.int64), *floats)


def candidates_of(rows: NDArray[np.float32], temperatures: NDArray[np.float32], count: int) -> RowCandidates:
    """Those of float32 [rows, columns]; `temperatures` are float32 [rows, temperatures]."""
    columns = np.zeros((len(rows), count), np.int64)
    sums = np.zeros(temperatures.shape, np.float32)
    for place, row in enumerate(rows):
        columns[place] = _best_first(row, count)
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):  # rows of NaN and infinities
            shifted = row - row.max()
            for number, temperature in enumerate(temperatures[place]):
                sums[place, number] = np.exp(shifted / temperature).sum(dtype=np.float64)
    values = np.take_along_axis(rows, columns, axis=1)
    values[:, :1] = rows.max(axis=1, keepdims=True)  # NaN if any is
    return RowCandidates(columns, values, sums)


def _best_first(row: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    found = np.empty(0, np.int64) if np.isnan(row).any() else highest(row, count)
    if len(found) < count:  # what is left out is infinite, or the row is no distribution
        found = np.arange(len(row))
    return found[np.argsort(-row[found], kind="stable")[:count]]


def asked(
    needs: Sequence[CandidateNeed], counts: Sequence[int], vocabulary: int
) -> tuple[NDArray[np.float32], int]:
    """What is asked of all rows at once: temperatures, float32 [rows, most of them], and how many candidates.

    Args:
        needs: of each feed.
        counts: rows of each feed.
        vocabulary: columns of a row.
    """
    of_rows = [need for need, rows in zip(needs, counts, strict=True) for _ in range(rows)]
    temperatures = np.ones((len(of_rows), max(len(need.temperatures) for need in of_rows)), np.float32)
    for row, need in enumerate(of_rows):
        temperatures[row, : len(need.temperatures)] = need.temperatures
    return temperatures, min(vocabulary, max(need.count for need in of_rows))


def told(
    found: RowCandidates,
    needs: Sequence[CandidateNeed],
    counts: Sequence[int],
    whole: Callable[[int], NDArray[np.float32]],
) -> list[Candidates]:
    """What was found of all rows, for each feed; `whole` gives a row by its number."""

    def of_row(row: int, need: CandidateNeed) -> CandidateRow:
        sums = dict(zip(need.temperatures, found.sums[row].tolist(), strict=False))
        return CandidateRow(found.columns[row], found.values[row], sums, partial(whole, row))

    told, end = [], 0
    for need, count in zip(needs, counts, strict=True):
        end += count
        told.append(Candidates(tuple(of_row(row, need) for row in range(end - count, end))))
    return told
