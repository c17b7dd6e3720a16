"""How much a memory says: greetings are short. The logarithm of its characters over a hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray

__all__ = ["SIGNALS"]

# Conversations have turns of some hundred characters; what is longer says no more because of it.
_LEAST, _MOST, _UNIT = 20, 400, 100


def _length(_question: Question, pool: Pool) -> FloatArray:
    lengths = np.array([len(item.text) for item in pool.told], dtype=np.float32)
    logs: FloatArray = np.log(np.clip(lengths, _LEAST, _MOST) / _UNIT)
    return logs


SIGNALS = {"length": _length}
