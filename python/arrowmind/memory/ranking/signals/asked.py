"""The kind of answer: a query that asks when wants words of time, one that asks how many wants a number."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray

__all__ = ["SIGNALS"]

_READ_CHARACTERS = 2000
_MOST = 3
_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|last|next|ago|week|weekend|month|year|morning|evening|recently|since"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|june|july|august|september"
    r"|october|november|december|\d+(?:st|nd|rd|th)?)\b|[昨今明前后]天|[上下本这]个?[周月]|[去今明前]年|\d+[年月日号]",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|once|twice|couple|few|several|many|dozen)\b"
    r"|[一二三四五六七八九十两几百]",
    re.IGNORECASE,
)


def _asked_time(question: Question, pool: Pool) -> FloatArray:
    """Words of time, up to three."""
    if not question.asks_time:
        return np.zeros(len(pool), dtype=np.float32)
    counts = [_time_words(item.text[:_READ_CHARACTERS]) for item in pool.told]
    shares: FloatArray = np.array(counts, dtype=np.float32) * np.float32(1 / _MOST)
    return shares


@lru_cache(maxsize=8192)
def _time_words(text: str) -> int:
    return sum(1 for _ in islice(_TIME.finditer(text), _MOST))


def _asked_number(question: Question, pool: Pool) -> FloatArray:
    if not question.asks_number:
        return np.zeros(len(pool), dtype=np.float32)
    return np.array(
        [_NUMBER.search(item.text[:_READ_CHARACTERS]) is not None for item in pool.told], dtype=np.float32
    )


SIGNALS = {"asked_time": _asked_time, "asked_number": _asked_number}
