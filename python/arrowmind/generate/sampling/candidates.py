"""The highest logits of rows and sums over them: what most choices need of a row, and no more of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

__all__ = ["MOST_CANDIDATES", "CandidateNeed", "CandidateRow", "Candidates", "sum_error"]

MOST_CANDIDATES = 256
"""Highest logits of a row that may be asked for."""


@dataclass(frozen=True)
class CandidateNeed:
    """What a choice needs of a row.

    Attributes:
        count: So many of the highest logits, at most `MOST_CANDIDATES`; all of a row that has fewer.
        temperatures: For each of them the sum over the row of exp((logit - highest) / temperature).
    """

    count: int
    temperatures: tuple[float, ...] = ()


@dataclass(frozen=True)
class CandidateRow:
    """What is there of a row of logits.

    Attributes:
        tokens: int64 [count], of the highest logits, best first, of equals the lowest.
        values: float32 [count], their logits; the first is NaN where any of the row is.
        sums: By temperature, each within `sum_error` of the exact one.
        whole: The row itself, float32 [vocabulary], for choices that the others do not decide. It costs time.
    """

    tokens: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    sums: Mapping[float, float]
    whole: Callable[[], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Candidates:
    """Those of several rows, in order.

    Attributes:
        rows: One for each.
    """

    rows: tuple[CandidateRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> CandidateRow:
        return self.rows[row]


def sum_error(vocabulary: int) -> float:
    """By how much of itself a sum of weights may be apart from the one that the whole row gives.

    Most of it is what csrc/device/kernels.h allows the sum: float32 exponentials, added in 1024 lanes. The
    rest is for the row's own: NumPy's exponentials within 3 ulp, of quotients within half of one, in float64.
    """
    return 1.2e-5 + vocabulary / 2**34
