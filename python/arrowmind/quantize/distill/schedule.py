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
        batch: texts of a step, at first.
        most: texts of a step at most: their number grows as rates fall. 0 for as many in each step.
        short: part of the steps, from the first, whose windows are half as long, and twice as many.
        margin: how far beyond the middle between two codes a value goes before its code changes, in steps.
        side_by_side: parts of a step that threads take the gradients of; sums do not depend on the threads.
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
    most: int = 0
    short: float = 0.0
    margin: float = 0.0
    side_by_side: int = 1
    rate: float = 3e-4
    scale_rate: float = 1e-3
    zero_rate: float = 3e-3
    vector_rate: float = 5e-4
    warm_up: int = 30
    last: float = 0.01
    relative: bool = False

    def factor(self, step: int) -> float:
        """What rates are multiplied by at a step."""
        return min(1.0, (step + 1) / self.warm_up) * self._falling(step)

    def size(self, step: int) -> int:
        """Texts of a step: twice as many where rates have fallen to a half, and no more than ``most``.

        While rates are high a step of few texts is the most for its time; when they fall, what is left is
        the noise of few texts.
        """
        return max(self.batch, min(self.most, int(self.batch / self._falling(step))))

    def sizes(self) -> list[int]:
        """Texts of all steps."""
        return [self.size(step) for step in range(self.steps)]

    def _falling(self, step: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * step / max(1, self.steps)))
        return self.last + (1 - self.last) * cosine
