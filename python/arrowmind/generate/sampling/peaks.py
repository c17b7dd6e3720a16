"""The highest logits of rows: all that a greedy choice needs of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Peak", "Peaks"]


class Peak(NamedTuple):
    """The highest logit of a row.

    Attributes:
        token: Its id; of equals the lowest.
        value: The logit; NaN where any of the row is.
    """

    token: int
    value: float


@dataclass(frozen=True)
class Peaks:
    """Those of several rows, in order.

    Attributes:
        tokens: int64 [rows].
        values: float32 [rows].
    """

    tokens: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: int) -> Peak:
        return Peak(int(self.tokens[row]), float(self.values[row]))
