"""Ways to turn signals into one score, by name. Each gives named parts that sum to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from arrowmind.memory.ranking.signals import all_signals
from arrowmind.memory.ranking.weights import scaled_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question

    FloatArray = npt.NDArray[np.float32]

__all__ = ["Association", "Learned", "Strategy"]


class Strategy(Protocol):
    """Scores memories."""

    def parts(self, question: Question, pool: Pool, /) -> dict[str, FloatArray]:
        """Columns float32 [n] whose sum is the score."""


class Learned:
    """Every signal by its weight."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Sets it up.

        Args:
            weights: by the names of signals; they are scaled so that scores lie between 0 and 1 or near it.
        """
        signals = all_signals()
        self._weighted = [
            (name, np.float32(weight), signals[name])
            for name, weight in scaled_weights(weights).items()
            if weight
        ]

    def parts(self, question: Question, pool: Pool) -> dict[str, FloatArray]:
        """Columns float32 [n] whose sum is the score."""
        return {name: weight * signal(question, pool) for name, weight, signal in self._weighted}


@dataclass(frozen=True)
class Association:
    """``alpha * similarity + beta * association``: the cosine, and how often the walk along links ends."""

    alpha: float
    beta: float

    def parts(self, _question: Question, pool: Pool) -> dict[str, FloatArray]:
        """Columns float32 [n] whose sum is the score."""
        similar: FloatArray = np.maximum(pool.cosines, np.float32(0))
        return {
            "similarity": np.float32(self.alpha) * similar,
            "association": np.float32(self.beta) * pool.linked,
        }
