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

__all__ = ["Baseline", "baseline"]

_SAMPLE = 256
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


def baseline(space: Space, query: FloatArray) -> Baseline:
    """The cosines of a query with rows of a space, taken at equal distances.

    Args:
        space: where.
        query: float32 [dimension], of length 1.
    """
    total = space.vectors
    wanted = np.unique(np.linspace(0, max(total - 1, 0), min(total, _SAMPLE)).astype(np.int64))
    cosines, start = [np.empty(0, np.float32)], 0
    for block in space.blocks:
        rows = block.rows
        here = wanted[(wanted >= start) & (wanted < start + len(rows))] - start
        if len(here):
            # A memory without this kind has a vector of zeros in the space of texts; it is no measure.
            here = here[rows.scales[here] > 0]
            cosines.append(rows.cosines(query, here))
        start += len(rows)
    found = np.concatenate(cosines).astype(np.float64)
    weight = len(found) / (len(found) + _PRIOR_ROWS)
    # The median and the middle half: what is sought may be among the rows, and must not count.
    low, middle, high = np.percentile(found, [25, 50, 75]) if len(found) else (0.0, 0.0, 0.0)
    spread = (high - low) / 1.349  # of a normal distribution
    deviation = np.sqrt(weight * spread**2 + (1 - weight) * _PRIOR_DEVIATION**2)
    return Baseline(float(weight * middle), max(float(deviation), 1e-3))
