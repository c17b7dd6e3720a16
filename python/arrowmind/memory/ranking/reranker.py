"""The place of a cross-encoder: it reads the query and a memory together, which is dear and exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Reranker"]


class Reranker(Protocol):
    """Scores memories against a query; any scale, higher is better."""

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One score per text, finite."""
