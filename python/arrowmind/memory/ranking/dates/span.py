"""A stretch of time, and how well a moment fits it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Span", "fit"]

_SHORT, _LONG = timedelta(days=8), timedelta(days=100)
_DAY = timedelta(days=1)
# People speak of a thing some days after it, and plan it some days before: the fit falls by e in this time.
_BEFORE_SHORT, _AFTER_SHORT, _AROUND = 4.0, 8.0, 10.0
# A year holds so much that it says little.
_LONG_PEAK = 0.3


@dataclass(frozen=True)
class Span:
    """From ``start`` until before ``end``, both aware.

    Attributes:
        start: first moment.
        end: first moment behind it.
        yearly: of any year ("in August"); the year of ``start`` then means nothing.
    """

    start: datetime
    end: datetime
    yearly: bool = False


def fit(spans: Sequence[Span], moment: datetime) -> float:
    """How well a moment fits the best of some spans: 1 inside, less the farther away, 0 without spans."""
    return max((_fit(span, moment) for span in spans), default=0.0)


def _fit(span: Span, moment: datetime) -> float:
    if span.yearly:
        return max(_fit(_in_year(span, moment.year + shift), moment) for shift in (-1, 0, 1))
    length = span.end - span.start
    peak = _LONG_PEAK if length > _LONG else 1.0
    if span.start <= moment < span.end:
        return peak
    early = moment < span.start
    days = ((span.start - moment) if early else (moment - span.end)) / _DAY
    if length > _SHORT:
        return peak * math.exp(-days / _AROUND)
    return peak * math.exp(-days / (_BEFORE_SHORT if early else _AFTER_SHORT))


def _in_year(span: Span, year: int) -> Span:
    """The same part of another year; 29 February becomes 1 March where there is none."""
    year = min(max(year, 1), 9998)
    length = span.end - span.start
    try:
        start = span.start.replace(year=year)
    except ValueError:
        start = span.start.replace(year=year, month=3, day=1)
    return Span(start, start + length)
