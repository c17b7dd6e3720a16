"""Half how recently a memory was recalled, half how much its words say: LRU and TF-IDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.consolidate.tiering.columns import MemoryColumns

__all__ = ["scores"]

_RECENCY = 0.5


def scores(columns: MemoryColumns, now: int) -> npt.NDArray[np.float64]:  # noqa: ARG001  ranks need no clock
    """0 to 1. Recency is a rank, so that equal moments are equal and no clock can distort it."""
    moments, places = np.unique(columns.last_access, return_inverse=True)
    recency = places.reshape(-1) / max(len(moments) - 1, 1)
    found: npt.NDArray[np.float64] = _RECENCY * recency + (1 - _RECENCY) * columns.rarity
    return found
