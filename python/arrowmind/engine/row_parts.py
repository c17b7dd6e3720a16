"""Rows of a forward over a cache, cut for what has memory for fewer at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["RowPart", "cut_rows"]


class RowPart(NamedTuple):
    """Rows of a forward that come together.

    Attributes:
        rows: which of them.
        sequences: places of the sequences that have them, in order.
        offsets: where those of each begin and end, within these rows; int32.
    """

    rows: slice
    sequences: list[int]
    offsets: NDArray[np.int32]


def cut_rows(offsets: NDArray[np.int32], most: int) -> Iterator[RowPart]:
    """Parts of at most `most` rows, in order; sequences that end in one go on in the next.

    Args:
        offsets: where the rows of each sequence begin and end, int32 [sequences + 1]; each has some.
        most: one at least.
    """
    for begin in range(0, int(offsets[-1]), most):
        end = min(begin + most, int(offsets[-1]))
        first = int(np.searchsorted(offsets, begin, side="right")) - 1
        last = int(np.searchsorted(offsets, end, side="left"))
        inside = np.clip(offsets[first : last + 1], begin, end) - begin
        yield RowPart(slice(begin, end), list(range(first, last)), inside.astype(np.int32))
