"""Times that a query speaks of: dates, months, "four weeks ago", "上个月".

::

    span       a stretch of time, and how well a moment fits it
    calendar   days, weeks, months and seasons as spans
    english    expressions of English
    chinese    expressions of Chinese

To add a language, write its module with ``spans(text, now)`` and name it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.memory.ranking.dates import chinese, english
from arrowmind.memory.ranking.dates.span import Span, fit

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Span", "find_spans", "fit"]

_LANGUAGES = (english, chinese)
# Long texts are not questions: what they say of time is not what is asked.
_READ_CHARACTERS = 1000


def find_spans(text: str, now: datetime) -> tuple[Span, ...]:
    """Every time a query speaks of; none is no error.

    Args:
        text: the query; its first 1000 characters are read.
        now: what "yesterday" is relative to.
    """
    head = text[:_READ_CHARACTERS]
    found = (span for language in _LANGUAGES for span in language.spans(head, now))
    return tuple(dict.fromkeys(found))
