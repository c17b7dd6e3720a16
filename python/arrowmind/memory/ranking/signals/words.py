"""Words that a memory shares with the query: BM25, as a share of the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.memory.ranking.signals.signal import FloatArray, relative

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question

__all__ = ["SIGNALS"]


def _words(_question: Question, pool: Pool) -> FloatArray:
    return relative(pool.bm25)


SIGNALS = {"words": _words}
