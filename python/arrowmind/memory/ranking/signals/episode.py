"""The episode of a memory: what was told within the hour around it, as far as it is in the pool.

An answer seldom repeats the words of its question, but somebody nearby does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.signals.signal import FloatArray, relative

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question

__all__ = ["SIGNALS"]


def _episode_words(_question: Question, pool: Pool) -> FloatArray:
    """Terms that any memory of the episode holds, each once."""
    return relative(pool.of_episode(pool.held) @ pool.rarity)


def _episode_meaning(_question: Question, pool: Pool) -> FloatArray:
    """The best stretch of the episode: a memory and half of each neighbour."""
    near = pool.of_neighbour(pool.cosines, pool.before) + pool.of_neighbour(pool.cosines, pool.after)
    return pool.of_episode(pool.cosines + near * np.float32(0.25))


SIGNALS = {"episode_words": _episode_words, "episode_meaning": _episode_meaning}
