"""What a memory means, and what was said around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray


__all__ = ["SIGNALS"]


def _meaning(_question: Question, pool: Pool) -> FloatArray:
    return pool.cosines


def _meaning_nearby(_question: Question, pool: Pool) -> FloatArray:
    near = pool.of_neighbour(pool.cosines, pool.before) + pool.of_neighbour(pool.cosines, pool.after)
    mean: FloatArray = near * np.float32(0.5)
    return mean


SIGNALS = {"meaning": _meaning, "meaning_nearby": _meaning_nearby}
