"""BM25 of a few texts, term by term, with the frequencies of the whole store."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.memory.searching.terms import terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.ranking.memories import TermStatistics

    FloatArray = npt.NDArray[np.float32]

__all__ = ["inverse_frequencies", "saturations"]

_K1, _B = 1.2, 0.75
# Ranking reads so much of a memory; the text index has it all.
_READ_CHARACTERS = 4000


def inverse_frequencies(query: Sequence[str], statistics: TermStatistics) -> FloatArray:
    """Weight of each term of a query: the rarer, the more. float32 [terms]."""
    holders = np.array([statistics.holders.get(term, 0) for term in query], dtype=np.float64)
    records = max(statistics.records, 1)
    rare = np.log1p((np.maximum(records - holders, 0) + 0.5) / (holders + 0.5))
    return (rare * (holders > 0)).astype(np.float32)


def saturations(texts: Sequence[str], query: Sequence[str], mean_length: float) -> FloatArray:
    """How much of each term each text holds, 0 to 1 + k1. float32 [texts, terms]."""
    heads = [text[:_READ_CHARACTERS] for text in texts]
    counts, lengths = _native.count_terms(heads, list(query))
    for row in np.flatnonzero(lengths < 0).tolist():
        found, lengths[row] = _counted(heads[row])
        counts[row] = [found[term] for term in query]
    norms = _K1 * (1 - _B + _B * lengths / max(mean_length, 1.0))
    held = (1 + _K1) * counts / (counts + norms[:, None])
    return held.astype(np.float32)


@lru_cache(maxsize=8192)
def _counted(text: str) -> tuple[Counter[str], int]:
    counts = Counter(terms(text))
    return counts, sum(counts.values())
