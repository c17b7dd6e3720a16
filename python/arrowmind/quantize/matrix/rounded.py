"""A matrix on its grid, as the algorithms here want it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.quantize.matrix.storage import ScaleStore
    from arrowmind.weights.formats import Grid

    Floats = npt.NDArray[np.float32]

__all__ = ["Rounded"]


@dataclass
class Rounded:
    """A matrix on its grid, columns first, as the algorithms here want it.

    Attributes:
        grid: the grid.
        store: with the outer scales that were settled on.
        levels: float32 [k, n].
        scales: float32 [groups, n], as they can be stored.
        zeros: float32 [groups, n], as they can be stored.
        together: columns whose codes are bound together (bound.py); 1: they are free.
    """

    grid: Grid
    store: ScaleStore
    levels: Floats
    scales: Floats
    zeros: Floats
    together: int = 1

    @property
    def group(self) -> int:
        """Columns of a group."""
        return self.grid.group_size or len(self.levels)

    def values(self) -> Floats:
        """What the codes stand for, float32 [k, n]."""
        return (self.levels - self.spread(self.zeros)) * self.spread(self.scales)

    def spread(self, per_group: Floats) -> Floats:
        """[groups, n] -> [k, n]."""
        return np.repeat(per_group, self.group, axis=0)[: len(self.levels)]
