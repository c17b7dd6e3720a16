"""Puts a pool in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.strategies import Strategy

__all__ = ["Ranked", "rank_pool"]


@dataclass(frozen=True)
class Ranked:
    """A memory with its score.

    Attributes:
        row: its row in the pool.
        parts: what its score is the sum of, by name.
    """

    row: int
    parts: Mapping[str, float]

    @property
    def score(self) -> float:
        """The sum of the parts."""
        return sum(self.parts.values())


def rank_pool(question: Question, pool: Pool, strategy: Strategy, count: int) -> list[Ranked]:
    """The best of a pool, best first; equal ones by cosine, then lower id first."""
    columns = strategy.parts(question, pool)
    scores = sum(columns.values(), np.zeros(len(pool), dtype=np.float32)).astype(np.float64)
    order = np.lexsort((pool.ids, -pool.cosines, -scores))[:count]
    return [
        Ranked(row, {name: float(column[row]) for name, column in columns.items()}) for row in order.tolist()
    ]
