"""Cron lines of five fields: minute, hour, day of month, month, day of week.

A field is ``*``, a number, a name (jan to dec, sun to sat), a range ``a-b``, a list ``a,b`` of these, each
with a step ``/n``. Sunday is 0 or 7. As in cron, a day fits when day of month or day of week does, if both
are given. Times are local. A time that the clock skips when summer begins comes right after the gap; one
that it shows twice when summer ends comes once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo

from arrowmind.errors import ConfigurationError

__all__ = ["CronSchedule"]

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# 29 February on a given day of the week comes at least every 40 years.
_HORIZON = timedelta(days=366 * 41)


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0

    def parse(self, text: str) -> frozenset[int]:
        """All numbers that the field allows."""
        found: set[int] = set()
        for part in text.split(","):
            found.update(self._part(part))
        return frozenset(found)

    def _part(self, part: str) -> range:
        body, slash, step_text = part.partition("/")
        step = self._step(step_text, part) if slash else 1
        if body == "*":
            return range(self.low, self.high + 1, step)
        first, dash, last = body.partition("-")
        begin = self._number(first, part)
        end = self._number(last, part) if dash else (self.high if slash else begin)
        if end < begin:
            raise ConfigurationError(
                f"{self.name} {part!r}: ends before it begins; write two ranges with a comma"
            )
        return range(begin, end + 1, step)

    def _number(self, text: str, part: str) -> int:
        lowered = text.lower()
        if lowered in self.names:
            return self.names.index(lowered) + self.first_name
        if not (text.isascii() and text.isdigit()) or len(text) > 4 or not self.low <= int(text) <= self.high:
            names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ConfigurationError(f"{self.name} {part!r}: give {self.low} to {self.high}{names}")
        return int(text)

    def _step(self, text: str, part: str) -> int:
        if not (text.isascii() and text.isdigit()) or len(text) > 4 or int(text) < 1:
            raise ConfigurationError(f"{self.name} {part!r}: a step is a whole number from 1")
        return int(text)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, tuple(_MONTHS), 1),
    _Field("day of week", 0, 7, tuple(_DAYS)),
)


class CronSchedule:
    """When a cron line is due.

    Args:
        line: the five fields, or @hourly, @daily, @weekly, @monthly, @yearly.
        zone: time zone; None takes the one of this machine, as it is at each moment.

    Raises:
        ConfigurationError: the line is none, or names a day that never comes.
    """

    def __init__(self, line: str, zone: tzinfo | None = None) -> None:
        self.line = line
        self._zone = zone
        words = _ALIASES.get(line.strip().lower(), line).split()
        if len(words) != len(_FIELDS):
            raise ConfigurationError(
                f"schedule {line!r}: has {len(words)} fields; give minute, hour, day of month, month and day "
                "of week, for instance '30 3 * * *'"
            )
        try:
            minutes, hours, days, months, weekdays = (
                field.parse(word) for field, word in zip(_FIELDS, words, strict=True)
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"schedule {line!r}: {error}") from None
        self._minutes, self._hours = sorted(minutes), sorted(hours)
        self._days, self._months = days, months
        self._weekdays = frozenset(day % 7 for day in weekdays)
        self._either = not words[2].startswith("*") and not words[4].startswith("*")
        self.next_after(datetime(2000, 1, 1, tzinfo=timezone.utc))

    def next_after(self, moment: datetime) -> datetime:
        """The first moment after this one at which it is due.

        Args:
            moment: with a time zone.

        Returns:
            In UTC.

        Raises:
            ConfigurationError: there is none.
        """
        day = self._local(moment).date()
        last = day + min(_HORIZON, date.max - day - timedelta(days=1))
        while day <= last:
            if self._fits(day):
                for hour in self._hours:
                    for minute in self._minutes:
                        due = self._instant(datetime(day.year, day.month, day.day, hour, minute))
                        if due > moment:
                            return due
            day = self._next_day(day)
        raise ConfigurationError(f"schedule {self.line!r}: names a day that never comes; correct it")

    def _next_day(self, day: date) -> date:
        if day.month not in self._months:
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return day + timedelta(days=1)

    def _fits(self, day: date) -> bool:
        if day.month not in self._months:
            return False
        by_month, by_week = day.day in self._days, day.isoweekday() % 7 in self._weekdays
        return (by_month or by_week) if self._either else (by_month and by_week)

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self._zone)

    def _instant(self, wall: datetime) -> datetime:
        """The first time at which the clock on the wall shows this, or has passed over it."""
        local = wall.replace(tzinfo=self._zone) if self._zone is not None else wall
        found = local.astimezone(timezone.utc)
        if found.astimezone(self._zone).replace(tzinfo=None) != wall:
            # In a gap: read with the offset before it, the clock shows the same time after it.
            found = local.replace(fold=0).astimezone(timezone.utc)
        return found
