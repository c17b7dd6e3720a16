"""Who spoke: the one speaker whom the query names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray

__all__ = ["SIGNALS"]


def _speaker(question: Question, pool: Pool) -> FloatArray:
    if len(question.speakers) != 1:
        return np.zeros(len(pool), dtype=np.float32)
    return np.array([item.speaker in question.speakers for item in pool.told], dtype=np.float32)


SIGNALS = {"speaker": _speaker}
