"""The course of a dialogue: questions are no answers, and what follows a question that fits may be one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.signals.signal import FloatArray, relative

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question

__all__ = ["SIGNALS"]

_MARKS = ("?", "\uff1f")
_TAIL = 200


def _asks(_question: Question, pool: Pool) -> FloatArray:
    """Whether it ends as a question; a note about a picture that was shared does not count."""
    tails = (item.text[-_TAIL:].split(" [shares ")[0].rstrip() for item in pool.told)
    return np.array([tail.endswith(_MARKS) for tail in tails], dtype=np.float32)


def _replies(_question: Question, pool: Pool) -> FloatArray:
    """How well the words of a question just before it fit."""
    asked = np.array([any(mark in item.text for mark in _MARKS) for item in pool.told], dtype=np.float32)
    return pool.of_neighbour(asked * relative(pool.bm25), pool.before)


SIGNALS = {"asks": _asks, "replies": _replies}
