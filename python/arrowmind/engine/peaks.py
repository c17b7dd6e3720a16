"""The highest of each row of results: all that leaves a device where nobody needs more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RowPeaks", "peaks_of"]


class RowPeaks(NamedTuple):
    """Of each row its highest value.

    Attributes:
        columns: int64 [rows], of equals the first.
        values: float32 [rows]; NaN where the row has any, and its column may be any.
    """

    columns: NDArray[np.int64]
    values: NDArray[np.float32]

    def rows(self, begin: int, end: int) -> RowPeaks:
        """Those of some rows."""
        return RowPeaks(self.columns[begin:end], self.values[begin:end])


def peaks_of(rows: NDArray[np.float32]) -> RowPeaks:
    """Those of float32 [rows, columns]."""
    columns = rows.argmax(axis=1).astype(np.int64)  # the first NaN where there is any
    return RowPeaks(columns, rows[np.arange(len(rows)), columns])
