"""How long and how fast to train."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """How to train.

    Attributes:
        steps: in all.
        batch: texts of a step.
        rate: of latent values, in units of the values.
        relative: whether that is of matrices whose values spread by 0.05; others go faster or slower.
        scale_rate: of the logarithms of scales.
        zero_rate: of zero points, in steps of the grid.
        vector_rate: of biases and norms.
        warm_up: steps over which rates rise.
        last: part of the rate that is left at the end.
    """

    steps: int
    batch: int = 48
    rate: float = 3e-4
    scale_rate: float = 1e-3
    zero_rate: float = 3e-3
    vector_rate: float = 5e-4
    warm_up: int = 30
    last: float = 0.01
    relative: bool = False

    def factor(self, step: int) -> float:
        """What rates are multiplied by at a step."""
        falling = 0.5 * (1 + math.cos(math.pi * step / max(1, self.steps)))
        return min(1.0, (step + 1) / self.warm_up) * (self.last + (1 - self.last) * falling)
