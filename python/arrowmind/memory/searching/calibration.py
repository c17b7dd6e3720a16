"""How much a cosine says: how far it stands out among those of any rows of the same space.

Cosines of texts with images lie between 0.15 and 0.35, those of texts with texts between 0 and 0.8: as they
are, the latter would always win. In standard deviations above any row, both say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.memory.storage.blocks import Space

    FloatArray = npt.NDArray[np.float32]

__all__ = ["Baseline", "baseline", "baselines"]

# Until there are rows enough, cosines are taken to lie around 0 within 0.1, as those of random directions in
# a hundred dimensions do; that counts as much as so many rows.
_PRIOR_ROWS = 16
_PRIOR_DEVIATION = 0.1
_WHOLE = 10.0
"""Deviations that make a share of 1: a cosine of 1 among texts of MiniLM (mean 0.05, deviation 0.09)."""


@dataclass(frozen=True)
class Baseline:
    """Cosines of a query with any rows.

    Attributes:
        middle: of them.
        deviation: of them.
    """

    middle: float
    deviation: float

    def share(self, cosine: float) -> float:
        """0 for a cosine like any, 1 for one ten deviations above."""
        return min(max((cosine - self.middle) / (_WHOLE * self.deviation), 0.0), 1.0)

    def shares(self, cosines: FloatArray) -> npt.NDArray[np.float64]:
        """The same of several, float64 [n]."""
        above = (cosines.astype(np.float64) - self.middle) / (_WHOLE * self.deviation)
        shares: npt.NDArray[np.float64] = above.clip(0.0, 1.0)
        return shares


def baseline(space: Space, query: FloatArray) -> Baseline:
    """The cosines of a query with rows of a space, taken at equal distances.

    Args:
        space: where.
        query: float32 [dimension], of length 1.
    """
    return baselines(space, query[None])[0]


def baselines(space: Space, queries: FloatArray) -> list[Baseline]:
    """The same of several queries, float32 [n, dimension]."""
    sample = space.sample
    weight = len(sample) / (len(sample) + _PRIOR_ROWS)
    low, middle, high = np.zeros((3, len(queries)))
    if len(sample):
        # The median and the middle half: what is sought may be among the rows, and must not count.
        ascending = np.sort((queries @ sample.T).astype(np.float64), axis=1)
        low, middle, high = (_quantile(ascending, share) for share in (0.25, 0.5, 0.75))
    spread = (high - low) / 1.349  # of a normal distribution
    deviations = np.sqrt(weight * spread**2 + (1 - weight) * _PRIOR_DEVIATION**2).clip(1e-3)
    return list(map(Baseline, (weight * middle).tolist(), deviations.tolist()))


def _quantile(ascending: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.float64]:
    """Of ascending rows [n, m], between the two nearest places; much faster than `numpy.percentile`."""
    place = share * (ascending.shape[1] - 1)
    below = int(place)
    above = min(below + 1, ascending.shape[1] - 1)
    found: npt.NDArray[np.float64] = ascending[:, below] + (ascending[:, above] - ascending[:, below]) * (
        place - below
    )
    return found
