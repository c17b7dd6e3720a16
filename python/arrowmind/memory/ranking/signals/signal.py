"""The form of a signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question

__all__ = ["FloatArray", "Signal", "relative"]

FloatArray = npt.NDArray[np.float32]
Signal = Callable[["Question", "Pool"], FloatArray]


def relative(values: FloatArray) -> FloatArray:
    """Values that are 0 or more, as shares of the greatest."""
    best = float(values.max(initial=0.0))
    shares: FloatArray = values / np.float32(best) if best > 0 else np.zeros_like(values)
    return shares
