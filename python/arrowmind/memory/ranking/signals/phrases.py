"""What the query has in quotation marks, and its proper names, found letter by letter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.signals.signal import FloatArray

__all__ = ["SIGNALS"]

_READ_CHARACTERS = 4000
# Capitalised inside a sentence: the first word is capitalised anyway.
_NAME = re.compile(r"(?<=[\w,;:] )[A-Z][\w'-]+(?: [A-Z][\w'-]+)*")


def _phrases(question: Question, pool: Pool) -> FloatArray:
    return _share(question.phrases, pool)


def _names(question: Question, pool: Pool) -> FloatArray:
    found = {match.casefold().removesuffix("'s") for match in _NAME.findall(question.text[:_READ_CHARACTERS])}
    return _share(sorted(found - question.speakers), pool)


def _share(wanted: tuple[str, ...] | list[str], pool: Pool) -> FloatArray:
    if not wanted:
        return np.zeros(len(pool), dtype=np.float32)
    folded = (item.text[:_READ_CHARACTERS].casefold() for item in pool.told)
    return np.array([sum(name in text for name in wanted) / len(wanted) for text in folded], dtype=np.float32)


SIGNALS = {"phrases": _phrases, "names": _names}
