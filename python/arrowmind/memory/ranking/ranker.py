"""Puts a pool in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.reranker import Reranker
    from arrowmind.memory.ranking.strategies import Strategy

__all__ = ["Ranked", "rank_pool", "rerank"]


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


def rerank(
    query: str, texts: Sequence[str], ranked: Sequence[Ranked], reranker: Reranker, weight: float
) -> list[Ranked]:
    """The same memories in the order of their scores with a cross-encoder's, scaled to 0 to ``weight``.

    Raises:
        InvalidArgumentError: it gave another number of scores, or one that is not finite.
    """
    scores = np.asarray(reranker.scores(query, texts), dtype=np.float64)
    if scores.shape != (len(texts),) or not np.isfinite(scores).all():
        raise InvalidArgumentError(
            f"the reranker gave scores of shape {scores.shape} for {len(texts)} texts, or some not finite"
        )
    low, high = scores.min(initial=0.0), scores.max(initial=0.0)
    if len(scores):
        low, high = scores.min(), scores.max()
    shares = (scores - low) / (high - low) if high > low else np.zeros(len(scores))
    judged = [
        replace(item, parts={**item.parts, "reranker": weight * float(share)})
        for item, share in zip(ranked, shares, strict=True)
    ]
    return sorted(judged, key=lambda item: -item.score)
