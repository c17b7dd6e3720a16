"""Times in English: "8 May 2023", "in March", "four weeks ago", "last Friday"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.memory.ranking.dates import calendar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from arrowmind.memory.ranking.dates.span import Span

__all__ = ["spans"]

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_SEASONS = {"spring": "spring", "summer": "summer", "autumn": "autumn", "fall": "autumn", "winter": "winter"}
_COUNTS = {
    **dict(
        zip(
            [
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
                "twelve",
            ],
            range(1, 13),
            strict=False,
        )
    ),
    **{"a": 1, "an": 1, "a couple of": 2, "couple of": 2, "a few": 3, "few": 3, "several": 4, "half a": 0.5},
}
_RELATIVE = {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1, "coming": 1}
_FIXED = {"today": 0, "tonight": 0, "this morning": 0, "this afternoon": 0, "this evening": 0}
_FIXED |= {"yesterday": -1, "last night": -1, "tomorrow": 1}
_FIXED |= {"the day before yesterday": -2, "the day after tomorrow": 2}


def _any(words: object) -> str:
    return "(?:" + "|".join(sorted(map(re.escape, words), key=len, reverse=True)) + ")"  # type: ignore[call-overload]


_MONTH = rf"({_any(_MONTHS)}|{_any(sorted({name[:3] for name in _MONTHS} - {'mar', 'may'}))}\b\.?|sept\.?)"
_DATE = r"(\d{1,2})(?:st|nd|rd|th)?"
_COUNT = rf"(\d{{1,4}}|{_any(_COUNTS)})"
_UNIT = rf"({_any(calendar.UNIT_DAYS)})s?"
_YEAR = r"(\d{4})"
_LEAD = r"(in|of|during|since|until|by|early|late|mid|before|after|around)"


def spans(text: str, now: datetime) -> Iterator[Span]:
    """Times that a text speaks of; the first pattern that takes a stretch of it keeps it."""
    folded, taken = text.casefold(), [False] * (len(text) + 1)
    if len(folded) != len(text):
        taken = [False] * (len(folded) + 1)
    for pattern, make in _PATTERNS:
        for match in pattern.finditer(folded):
            if any(taken[match.start() : match.end()]):
                continue
            span = make(match, now)
            if span is not None:
                taken[match.start() : match.end()] = [True] * (match.end() - match.start())
                yield span


def _month_number(word: str) -> int:
    return next(place for place, name in enumerate(_MONTHS, start=1) if name.startswith(word[:3]))


def _count(word: str) -> float:
    return float(word) if word.isdecimal() else _COUNTS[word]


def _iso(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.month(now, int(match[2]), int(match[1]), int(match[3]))


def _date_month(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.month(now, _month_number(match[2]), int(match[3]) if match[3] else None, int(match[1]))


def _month_date(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.month(now, _month_number(match[1]), int(match[3]) if match[3] else None, int(match[2]))


def _month_year(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.month(now, _month_number(match[1]), int(match[2]))


def _relative_month(match: re.Match[str], now: datetime) -> Span | None:
    """Last March: the latest that is over; this or next March: by the calendar."""
    number = _month_number(match[2])
    shift = _RELATIVE[match[1]]
    past = -1 if shift < 0 and number >= now.month else 0
    ahead = 1 if shift > 0 and number <= now.month else 0
    return calendar.month(now, number, now.year + past + ahead)


def _lead_month(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.month(now, _month_number(match[2]))


def _season_year(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.season(now, _SEASONS[match[1]], _valid_year(int(match[2])))


def _relative_season(match: re.Match[str], now: datetime) -> Span | None:
    name, shift = _SEASONS[match[2]], _RELATIVE[match[1]]
    found = calendar.season(now, name, now.year)
    if shift < 0 and found.end > now:
        found = calendar.season(now, name, now.year - 1)
    if shift > 0 and found.start <= now:
        found = calendar.season(now, name, now.year + 1)
    return found


def _lead_season(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.season(now, _SEASONS[match[1]])


def _fixed(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.day(now, _FIXED[match[0]])


def _ago(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.ago(now, _count(match[1]), match[2])


def _fortnight(_match: re.Match[str], now: datetime) -> Span | None:
    return calendar.ago(now, 2, "week")


def _recent(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.last(now, _count(match[1]), match[2])


def _relative(match: re.Match[str], now: datetime) -> Span | None:
    shift, unit = _RELATIVE[match[1]], match[2]
    if unit == "week":
        return calendar.week(now, shift)
    if unit == "weekend":
        return calendar.weekend(now, shift)
    if unit == "month":
        first = calendar.shift_month(now.replace(day=1), shift)
        return calendar.month(now, first.month, first.year)
    return calendar.year(now, now.year + shift)


def _relative_weekday(match: re.Match[str], now: datetime) -> Span | None:
    number, shift = _DAYS.index(match[2]), _RELATIVE[match[1]]
    if shift < 0:
        return calendar.day(now, -((now.weekday() - number - 1) % 7 + 1))
    return calendar.weekday(now, number, shift)


def _on_weekday(match: re.Match[str], now: datetime) -> Span | None:
    """The latest such day, today among them."""
    return calendar.day(now, -((now.weekday() - _DAYS.index(match[1])) % 7))


def _plain_year(match: re.Match[str], now: datetime) -> Span | None:
    number = _valid_year(int(match[1]))
    return None if number is None else calendar.year(now, number)


def _valid_year(number: int) -> int | None:
    return number if 1900 <= number <= 2099 else None


def _compile(
    *rows: tuple[str, Callable[[re.Match[str], datetime], Span | None]],
) -> list[tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Span | None]]]:
    return [(re.compile(rf"(?<!\w){pattern}(?!\w)"), make) for pattern, make in rows]


_PATTERNS = _compile(
    (r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", _iso),
    (rf"{_DATE}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?", _date_month),
    (rf"{_MONTH}\s+(?:the\s+)?{_DATE}(?:,?\s+{_YEAR})?", _month_date),
    (rf"{_MONTH},?\s+(?:of\s+)?{_YEAR}", _month_year),
    (rf"({_any(_RELATIVE)})\s+{_MONTH}", _relative_month),
    (rf"{_LEAD}\s+{_MONTH}", _lead_month),
    (rf"({_any(_SEASONS)})(?:\s+of)?,?\s+{_YEAR}", _season_year),
    (rf"({_any(_RELATIVE)})\s+({_any(_SEASONS)})", _relative_season),
    (rf"in(?:\s+the)?\s+({_any(_SEASONS)})", _lead_season),
    (_any(_FIXED), _fixed),
    (rf"{_COUNT}\s+{_UNIT}\s+(?:ago|back|earlier)", _ago),
    (r"a\s+fortnight\s+ago", _fortnight),
    (rf"(?:last|past|previous)\s+{_COUNT}\s+{_UNIT}", _recent),
    (rf"({_any(_RELATIVE)})\s+(week|weekend|month|year)", _relative),
    (rf"({_any(_RELATIVE)})\s+({_any(_DAYS)})", _relative_weekday),
    (rf"on\s+({_any(_DAYS)})", _on_weekday),
    (_YEAR, _plain_year),
)
