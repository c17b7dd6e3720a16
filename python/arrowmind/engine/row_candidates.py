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

__all__ = ["CandidatesWanted", "RowCandidates", "candidates_in", "candidates_of", "told", "wanted_of"]


class CandidatesWanted(NamedTuple):
    """What is wanted of rows of results.

    Attributes:
        temperatures: float32 [rows, temperatures], above 0.
        best: candidates of each row, 1 to 256.
        whole: int32, numbers of rows that come as they are, ascending.
    """

    temperatures: NDArray[np.float32]
    best: int
    whole: NDArray[np.int32]


class RowCandidates(NamedTuple):
    """Of each row; and some rows.

    Attributes:
        columns: int64 [rows, count], best first, of equals the first.
        values: float32 [rows, count]; the first is NaN where the row has any, and its others may be any.
        sums: float32 [rows, temperatures]: of exp((x - largest) / temperature), over the row.
        whole: float32 [whole, columns]: rows as they are.
    """

    columns: NDArray[np.int64]
    values: NDArray[np.float32]
    sums: NDArray[np.float32]
    whole: NDArray[np.float32]


def candidates_in(words: NDArray[np.uint32], whole: NDArray[np.float32], count: int) -> RowCandidates:
    """Those in the words that a device gives, uint32 [rows, 2 * count + temperatures]."""
    columns, values, sums = np.split(words, [count, 2 * count], axis=1)
    return RowCandidates(columns.astype(np.int64), _floats(values), _floats(sums), whole)


def _floats(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(words).view(np.float32)


def candidates_of(rows: NDArray[np.float32], wanted: CandidatesWanted) -> RowCandidates:
    """Those of float32 [rows, columns]."""
    columns = np.zeros((len(rows), wanted.best), np.int64)
    sums = np.zeros(wanted.temperatures.shape, np.float32)
    for place, row in enumerate(rows):
        columns[place] = _best_first(row, wanted.best)
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):  # rows of NaN and infinities
            shifted = row - row.max()
            for number, temperature in enumerate(wanted.temperatures[place]):
                sums[place, number] = np.exp(shifted / temperature).sum(dtype=np.float64)
    values = np.take_along_axis(rows, columns, axis=1)
    values[:, :1] = rows.max(axis=1, keepdims=True)  # NaN if any is
    return RowCandidates(columns, values, sums, rows[wanted.whole])


def _best_first(row: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    found = np.empty(0, np.int64) if np.isnan(row).any() else highest(row, count)
    if len(found) < count:  # what is left out is infinite, or the row is no distribution
        found = np.arange(len(row))
    return found[np.argsort(-row[found], kind="stable")[:count]]


def wanted_of(
    needs: Sequence[CandidateNeed | None], counts: Sequence[int], vocabulary: int
) -> CandidatesWanted:
    """What is wanted of all rows together.

    Args:
        needs: of each feed; None: its rows.
        counts: rows of each feed.
        vocabulary: columns of a row.
    """
    of_rows = [need for need, rows in zip(needs, counts, strict=True) for _ in range(rows)]
    some = [need for need in of_rows if need is not None]
    most = max((len(need.temperatures) for need in some), default=0)
    temperatures = np.ones((len(of_rows), most), np.float32)
    for row, need in enumerate(of_rows):
        if need is not None:
            temperatures[row, : len(need.temperatures)] = need.temperatures
    count = min(vocabulary, max((need.count for need in some), default=1))
    whole = np.array([row for row, need in enumerate(of_rows) if need is None], np.int32)
    return CandidatesWanted(temperatures, count, whole)


def told(
    found: RowCandidates,
    needs: Sequence[CandidateNeed | None],
    counts: Sequence[int],
    row_of: Callable[[int], NDArray[np.float32]],
) -> list[Candidates | NDArray[np.float32]]:
    """What was found of all rows, for each feed; `row_of` gives a row by its number."""

    def of_row(row: int, need: CandidateNeed) -> CandidateRow:
        sums = dict(zip(need.temperatures, found.sums[row].tolist(), strict=False))
        return CandidateRow(found.columns[row], found.values[row], sums, partial(row_of, row))

    told: list[Candidates | NDArray[np.float32]] = []
    end = read = 0
    for need, count in zip(needs, counts, strict=True):
        end += count
        if need is None:
            read += count
            told.append(found.whole[read - count : read])
        else:
            told.append(Candidates(tuple(of_row(row, need) for row in range(end - count, end))))
    return told
