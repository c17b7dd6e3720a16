"""Cron lines: what is due when, in local time, through summer time and leap years."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.consolidate.schedule import CronSchedule
from arrowmind.errors import ConfigurationError

UTC = timezone.utc
try:
    BERLIN = ZoneInfo("Europe/Berlin")
except ZoneInfoNotFoundError:
    BERLIN = None
needs_zones = pytest.mark.skipif(BERLIN is None, reason="no time zones on this system: install tzdata")


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def following(line, start, count=1, zone=UTC):
    schedule, moment, found = CronSchedule(line, zone), at(start, zone), []
    for _ in range(count):
        moment = schedule.next_after(moment)
        found.append(moment.astimezone(zone).strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("line", "start", "expected"),
    [
        ("* * * * *", "2026-03-01 10:00", ["2026-03-01 10:01", "2026-03-01 10:02"]),
        ("30 3 * * *", "2026-03-01 03:29", ["2026-03-01 03:30", "2026-03-02 03:30"]),
        ("30 3 * * *", "2026-03-01 03:30", ["2026-03-02 03:30"]),
        ("*/20 2-3 * * *", "2026-03-01 02:10", ["2026-03-01 02:20", "2026-03-01 02:40", "2026-03-01 03:00"]),
        ("5/25 0 * * *", "2026-03-01 00:00", ["2026-03-01 00:05", "2026-03-01 00:30", "2026-03-01 00:55"]),
        ("0 0 31 * *", "2026-01-31 12:00", ["2026-03-31 00:00", "2026-05-31 00:00"]),
        ("0 0 29 feb *", "2026-01-01 00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 9 * * mon-fri", "2026-11-20 09:00", ["2026-11-23 09:00"]),
        ("0 9 * * SUN", "2026-11-20 09:00", ["2026-11-22 09:00"]),
        ("0 9 * * 7", "2026-11-20 09:00", ["2026-11-22 09:00"]),
        ("0 9 * * 5-7", "2026-11-20 09:00", ["2026-11-21 09:00", "2026-11-22 09:00", "2026-11-27 09:00"]),
        ("0 0 13 * fri", "2026-11-01 00:00", ["2026-11-06 00:00", "2026-11-13 00:00", "2026-11-20 00:00"]),
        ("0 0 */2 * fri", "2026-11-01 00:00", ["2026-11-13 00:00"]),
        ("0 0 1 jan,jul *", "2026-02-01 00:00", ["2026-07-01 00:00", "2027-01-01 00:00"]),
        ("0,30 2,3 1-2 * *", "2026-02-02 03:15", ["2026-02-02 03:30", "2026-03-01 02:00"]),
        ("@daily", "2026-02-28 00:00", ["2026-03-01 00:00"]),
        ("@weekly", "2026-11-21 00:00", ["2026-11-22 00:00"]),
        ("59 23 31 12 *", "2026-12-31 23:59", ["2027-12-31 23:59"]),
    ],
)
def test_what_is_due(line, start, expected):
    assert following(line, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "has 6 fields"),
        ("60 * * * *", "minute '60': give 0 to 59"),
        ("* 24 * * *", "hour '24': give 0 to 23"),
        ("* * 0 * *", "day of month '0': give 1 to 31"),
        ("* * * 13 *", "month '13': give 1 to 12 or jan to dec"),
        ("* * * * 8", "day of week '8': give 0 to 7 or sun to sat"),
        ("*/0 * * * *", "a step is a whole number"),
        ("*/x * * * *", "a step is a whole number"),
        ("5-2 * * * *", "ends before it begins"),
        ("-1 * * * *", "give 0 to 59"),
        ("1, * * * *", "give 0 to 59"),
        ("\u0663 * * * *", "give 0 to 59"),
        ("99999999999999999999 * * * *", "give 0 to 59"),
        ("0 0 30 feb *", "a day that never comes"),
        ("0 0 31 4,6,9,11 *", "a day that never comes"),
        ("2-3am", "has 1 fields"),
        ("every night", "has 2 fields"),
    ],
)
def test_what_is_no_schedule(line, message):
    with pytest.raises(ConfigurationError, match=message):
        CronSchedule(line)


@given(st.text(alphabet="*0123456789,-/ @dfmonrieju", max_size=24))
def test_any_text_is_a_schedule_or_an_error(line):
    try:
        schedule = CronSchedule(line, UTC)
    except ConfigurationError:
        return
    start = at("2026-11-21 12:00")
    assert schedule.next_after(start) > start


def brute(line, moment):
    """Looks at each minute."""
    minute, hour, day, month, weekday = [
        frozenset(range(0, 100)) if word == "*" else frozenset(map(int, word.split(",")))
        for word in line.split()
    ]
    while True:
        moment += timedelta(minutes=1)
        fits = moment.minute in minute and moment.hour in hour and moment.month in month
        if fits and moment.day in day and moment.isoweekday() % 7 in weekday:
            return moment


def test_against_looking_at_each_minute(seed):
    source = random.Random(seed)
    for _ in range(8):
        line = " ".join(
            "*" if source.random() < 0.5 else ",".join(str(source.randint(low, high)) for _ in range(2))
            for low, high in ((0, 59), (0, 23), (1, 28))
        )
        line += " * *" if source.random() < 0.5 else f" {source.randint(1, 12)},2,8 *"
        start = at("2026-01-01 00:00") + timedelta(minutes=source.randrange(500_000))
        assert CronSchedule(line, UTC).next_after(start) == brute(line, start), (line, start)


# Summer time in Berlin: 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00.


@needs_zones
def test_a_time_that_the_clock_skips():
    due = CronSchedule("30 2 * * *", BERLIN).next_after(at("2026-03-28 12:00", BERLIN))
    assert due == at("2026-03-29 03:30", BERLIN)
    assert CronSchedule("30 2 * * *", BERLIN).next_after(due) == at("2026-03-30 02:30", BERLIN)


@needs_zones
def test_a_time_that_the_clock_shows_twice_comes_once():
    schedule = CronSchedule("30 2 * * *", BERLIN)
    first = schedule.next_after(at("2026-10-24 12:00", BERLIN))
    assert first == at("2026-10-25 00:30")  # in UTC: the first of the two
    assert schedule.next_after(first) == at("2026-10-26 02:30", BERLIN)


def test_the_time_zone_of_the_machine(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "CST-8")
    time.tzset()
    try:
        due = CronSchedule("0 3 * * *").next_after(at("2026-11-21 12:00"))
        assert due == at("2026-11-21 19:00")
    finally:
        monkeypatch.undo()
        time.tzset()
