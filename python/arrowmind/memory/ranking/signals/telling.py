"""How it is told: who tells something says "I", what happened, and calls things by their names.

Answers are statements of those who know; greetings, praise and questions back are about "you". English only:
in other languages all three are near 0 for every memory, and change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray

__all__ = ["SIGNALS"]

# So many count fully.
_MOST_WORDS, _MOST_NAMES = 4, 3


def _of_oneself(_question: Question, pool: Pool) -> FloatArray:
    return _shares(pool, 0, _MOST_WORDS)


def _happened(_question: Question, pool: Pool) -> FloatArray:
    return _shares(pool, 1, _MOST_WORDS)


def _named(_question: Question, pool: Pool) -> FloatArray:
    return _shares(pool, 2, _MOST_NAMES)


def _shares(pool: Pool, place: int, most: int) -> FloatArray:
    shares: FloatArray = np.minimum(pool.tellings[:, place] / most, 1.0).astype(np.float32)
    return shares


SIGNALS = {"of_oneself": _of_oneself, "happened": _happened, "named": _named}
