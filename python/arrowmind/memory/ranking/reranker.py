"""The place of a cross-encoder: it reads the query and a memory together, which is dear and exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Reranker", "rerank_shares"]


class Reranker(Protocol):
    """Scores memories against a query; any scale, higher is better."""

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One score per text, finite."""


def rerank_shares(query: str, texts: Sequence[str], reranker: Reranker) -> list[float]:
    """What a cross-encoder says of each text: 0 for the worst of them, 1 for the best.

    Raises:
        InvalidArgumentError: it gave another number of scores, or one that is not finite.
    """
    if not texts:
        return []
    scores = np.asarray(reranker.scores(query, texts), dtype=np.float64)
    if scores.shape != (len(texts),) or not np.isfinite(scores).all():
        raise InvalidArgumentError(
            f"the reranker gave scores of shape {scores.shape} for {len(texts)} texts, or some not finite"
        )
    low, high = scores.min(), scores.max()
    shares: list[float] = ((scores - low) / (high - low) if high > low else np.zeros(len(scores))).tolist()
    return shares
