"""Days, weeks, months, years and seasons as spans; all in the time zone of the moment that is given."""

from __future__ import annotations

from datetime import datetime, timedelta

from arrowmind.memory.ranking.dates.span import Span

__all__ = [
    "UNIT_DAYS",
    "ago",
    "day",
    "last",
    "month",
    "season",
    "shift_month",
    "week",
    "weekday",
    "weekend",
    "year",
]

UNIT_DAYS = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.44, "year": 365.25}
_DAY = timedelta(days=1)
# Years that leave room for the arithmetic; datetime itself has 1 to 9999.
_FIRST_YEAR, _LAST_YEAR = 1000, 9000
_MOST_DAYS = 365_250.0
_SEASON_MONTHS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}


def day(now: datetime, shift: int = 0) -> Span:
    """The day of ``now``, or one so many days later."""
    start = now.replace(hour=0, minute=0, second=0, microsecond=0) + shift * _DAY
    return Span(start, start + _DAY)


def week(now: datetime, shift: int = 0) -> Span:
    """The week of ``now`` from Monday on, or one so many weeks later."""
    monday = day(now, 7 * shift - now.weekday()).start
    return Span(monday, monday + 7 * _DAY)


def weekend(now: datetime, shift: int = 0) -> Span:
    """Saturday and Sunday of a week."""
    end = week(now, shift).end
    return Span(end - 2 * _DAY, end)


def weekday(now: datetime, number: int, shift: int = 0) -> Span:
    """A day of a week, 0 for Monday."""
    start = week(now, shift).start + number * _DAY
    return Span(start, start + _DAY)


def month(now: datetime, number: int, of_year: int | None = None, date: int | None = None) -> Span | None:
    """A month or a date in it; of any year if none is given. None where the calendar has no such date."""
    if of_year is not None and not _FIRST_YEAR <= of_year <= _LAST_YEAR:
        return None
    # A leap year, so that 29 February is a date of any year.
    base = now.replace(year=of_year or 2000, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    try:
        start = base.replace(month=number, day=date or 1)
    except ValueError:
        return None
    end = start + _DAY if date else shift_month(start, 1)
    return Span(start, end, yearly=of_year is None)


def year(now: datetime, number: int) -> Span:
    """A year."""
    start = now.replace(year=number, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return Span(start, start.replace(year=number + 1))


def season(now: datetime, name: str, of_year: int | None = None) -> Span:
    """Three months of the northern half, winter from December of its year; of any year if none is given."""
    base = now.replace(year=of_year or 2000, day=1, month=1, hour=0, minute=0, second=0, microsecond=0)
    start = base.replace(month=_SEASON_MONTHS[name])
    return Span(start, shift_month(start, 3), yearly=of_year is None)


def shift_month(first: datetime, months: int) -> datetime:
    """The first of a month some months after another first."""
    place = first.year * 12 + first.month - 1 + months
    return first.replace(year=place // 12, month=place % 12 + 1)


def ago(now: datetime, count: float, unit: str) -> Span | None:
    """So long ago, as vague as its unit; None beyond a thousand years."""
    days = count * UNIT_DAYS[unit]
    if days > _MOST_DAYS:
        return None
    half = max(min(UNIT_DAYS[unit], days), 1.0) / 2
    return Span(now - timedelta(days=days + half), now - timedelta(days=max(days - half, 0.0)))


def last(now: datetime, count: float, unit: str) -> Span | None:
    """From so long ago until now; None beyond a thousand years."""
    days = count * UNIT_DAYS[unit]
    return None if days > _MOST_DAYS else Span(now - timedelta(days=days), now)
