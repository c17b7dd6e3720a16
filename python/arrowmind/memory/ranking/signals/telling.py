"""How it is told: who tells something says "I", what happened, and calls things by their names.

Answers are statements of those who know; greetings, praise and questions back are about "you". English only:
in other languages all three are near 0 for every memory, and change nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray

__all__ = ["SIGNALS"]

# A paragraph tells it as well as a page.
_READ_CHARACTERS = 240
_OF_ONESELF = frozenset(
    form
    for word in ("my", "me", "mine", "we", "our", "us", "we're", "we've")
    for form in (word, word.title())
) | {"I", "I'm", "I've", "I'd", "I'll"}
_HAPPENED = frozenset(
    "was were had did went got made took saw just finally bought won met found".split()  # noqa: SIM905
)
_MARKED = _OF_ONESELF | _HAPPENED
_MOST_WORDS, _MOST_NAMES = 4, 3


@lru_cache(maxsize=8192)
def _counts(text: str, speaker: str) -> tuple[float, float, float]:
    """Shares of what counts fully: words of oneself, words of the past, proper names but the speaker's."""
    head = text[len(speaker) + 2 if speaker else 0 : _READ_CHARACTERS].split(" [shares ", 1)[0]
    words = head.split()
    marked = [word for word in words if word in _MARKED]
    own = sum(map(_OF_ONESELF.__contains__, marked))
    past = len(marked) - own + head.count("ed ")
    # The first word of a sentence is capitalised anyway, and so is "I"; counted, not parsed, as a recall
    # reads some 250 memories.
    begun = head.count(". ") + head.count("! ") + head.count("? ")
    names = max(sum(map(str.istitle, words[1:])) - marked.count("I") - begun, 0)
    return min(own / _MOST_WORDS, 1.0), min(past / _MOST_WORDS, 1.0), min(names / _MOST_NAMES, 1.0)


def _column(pool: Pool, place: int) -> FloatArray:
    listed = [_counts(item.text, item.speaker)[place] for item in pool.told]
    return np.array(listed, dtype=np.float32)


def _of_oneself(_question: Question, pool: Pool) -> FloatArray:
    return _column(pool, 0)


def _happened(_question: Question, pool: Pool) -> FloatArray:
    return _column(pool, 1)


def _named(_question: Question, pool: Pool) -> FloatArray:
    return _column(pool, 2)


SIGNALS = {"of_oneself": _of_oneself, "happened": _happened, "named": _named}
