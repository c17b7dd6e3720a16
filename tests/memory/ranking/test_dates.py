"""Times that queries speak of, in English and in Chinese."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import hypothesis
import hypothesis.strategies as st
import pytest

from arrowmind.memory.ranking.dates import Span, find_spans, fit

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=timezone.utc)  # a Saturday

ENGLISH = [
    ("the party on 8 May 2023", "2023-05-08", 1),
    ("the party on 8th of May, 2023", "2023-05-08", 1),
    ("May 8th, 2023 was fine", "2023-05-08", 1),
    ("what happened 2023-05-08?", "2023-05-08", 1),
    ("what happened 2023/5/8?", "2023-05-08", 1),
    ("in May 2023", "2023-05-01", 31),
    ("Sept 2021", "2021-09-01", 30),
    ("February, 2024", "2024-02-01", 29),
    ("in 2022", "2022-01-01", 365),
    ("last March", "2026-03-01", 31),
    ("last December", "2025-12-01", 31),
    ("this March", "2026-03-01", 31),
    ("next March", "2027-03-01", 31),
    ("summer of 2021", "2021-06-01", 92),
    ("winter 2022", "2022-12-01", 90),
    ("last summer", "2026-06-01", 92),
    ("last winter", "2025-12-01", 90),
    ("today", "2026-11-21", 1),
    ("tonight", "2026-11-21", 1),
    ("yesterday", "2026-11-20", 1),
    ("last night", "2026-11-20", 1),
    ("the day before yesterday", "2026-11-19", 1),
    ("tomorrow", "2026-11-22", 1),
    ("this week", "2026-11-16", 7),
    ("last week", "2026-11-09", 7),
    ("next week", "2026-11-23", 7),
    ("last weekend", "2026-11-14", 2),
    ("last month", "2026-10-01", 31),
    ("this month", "2026-11-01", 30),
    ("last year", "2025-01-01", 365),
    ("last Friday", "2026-11-20", 1),
    ("last Saturday", "2026-11-14", 1),
    ("on Monday", "2026-11-16", 1),
    ("on Saturday", "2026-11-21", 1),
    ("next Friday", "2026-11-27", 1),
]
CHINESE = [
    ("2023\u5e745\u67088\u65e5\u53d1\u751f\u4e86\u4ec0\u4e48", "2023-05-08", 1),
    ("2023\u5e74\u4e94\u6708", "2023-05-01", 31),
    ("2023\u5e74\u5341\u4e8c\u6708\u4e8c\u5341\u4e94\u65e5", "2023-12-25", 1),
    ("2021\u5e74", "2021-01-01", 365),
    ("\u53bb\u5e74\u4e09\u6708", "2025-03-01", 31),
    ("\u53bb\u5e74\u590f\u5929", "2025-06-01", 92),
    ("\u4eca\u5e74\u4e94\u67081\u65e5", "2026-05-01", 1),
    ("\u524d\u5e74", "2024-01-01", 366),
    ("\u53bb\u5e74", "2025-01-01", 365),
    ("\u6628\u5929", "2026-11-20", 1),
    ("\u524d\u5929", "2026-11-19", 1),
    ("\u5927\u524d\u5929", "2026-11-18", 1),
    ("\u4eca\u5929", "2026-11-21", 1),
    ("\u660e\u5929", "2026-11-22", 1),
    ("\u4e0a\u4e2a\u6708", "2026-10-01", 31),
    ("\u4e0a\u6708", "2026-10-01", 31),
    ("\u8fd9\u4e2a\u6708", "2026-11-01", 30),
    ("\u4e0a\u5468", "2026-11-09", 7),
    ("\u4e0a\u4e2a\u661f\u671f", "2026-11-09", 7),
    ("\u4e0a\u4e0a\u5468", "2026-11-02", 7),
    ("\u4e0a\u5468\u4e94", "2026-11-13", 1),
    ("\u4e0a\u661f\u671f\u5929", "2026-11-15", 1),
    ("\u4e0a\u5468\u672b", "2026-11-14", 2),
    ("\u4e0b\u5468", "2026-11-23", 7),
]
AGO = [
    ("four weeks ago", 28, 7),
    ("a fortnight ago", 14, 7),
    ("3 days ago", 3, 1),
    ("a couple of months ago", 2 * 30.44, 30.44),
    ("two years ago", 2 * 365.25, 365.25),
    ("half a year ago", 0.5 * 365.25, 0.5 * 365.25),
    ("\u4e09\u5929\u524d", 3, 1),
    ("\u4e24\u4e2a\u6708\u524d", 2 * 30.44, 30.44),
    ("\u56db\u4e2a\u661f\u671f\u4ee5\u524d", 28, 7),
    ("\u534a\u5e74\u524d", 0.5 * 365.25, 0.5 * 365.25),
    ("\u4e8c\u5341\u5929\u524d", 20, 1),
]
NOTHING = [
    "what may I do",
    "they march on",
    "the second fall",
    "room 2 of 30 February",
    "9999999999 days ago",
    "1000000 years ago",
    "0000-00-00",
    "\u7b2c\u4e09\u4e2a\u6708",
    "\u4e09\u4e2a\u6708",
    "",
]


@pytest.mark.parametrize(("text", "start", "days"), ENGLISH + CHINESE)
def test_a_time_is_found(text, start, days):
    (span,) = find_spans(text, NOW)
    assert span.start == datetime.fromisoformat(start).replace(tzinfo=timezone.utc)
    assert (span.end - span.start, span.yearly) == (timedelta(days=days), False)


@pytest.mark.parametrize(("text", "days", "width"), AGO)
def test_so_long_ago_is_as_vague_as_its_unit(text, days, width):
    (span,) = find_spans(text, NOW)
    middle = span.start + (span.end - span.start) / 2
    assert abs(middle - (NOW - timedelta(days=days))) < timedelta(seconds=1)
    assert abs((span.end - span.start) - timedelta(days=width)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "days"), [("the last three days", 3), ("past 2 weeks", 14), ("\u6700\u8fd1\u4e09\u5929", 3)]
)
def test_from_then_until_now(text, days):
    assert find_spans(text, NOW) == (Span(NOW - timedelta(days=days), NOW),)


@pytest.mark.parametrize(
    ("text", "month", "day"),
    [
        ("in August", 8, 1),
        ("on 25 December", 12, 25),
        ("\u516b\u6708", 8, 1),
        ("\u5341\u4e8c\u6708\u4e8c\u5341\u4e94\u65e5", 12, 25),
    ],
)
def test_a_month_without_a_year_is_of_any(text, month, day):
    (span,) = find_spans(text, NOW)
    assert span.yearly
    for year in (1999, 2023):
        assert fit((span,), datetime(year, month, day, 12, tzinfo=timezone.utc)) == 1
    assert fit((span,), datetime(2023, (month + 5) % 12 + 1, day, tzinfo=timezone.utc)) < 0.01


@pytest.mark.parametrize("text", NOTHING)
def test_no_time_is_found_where_there_is_none(text):
    assert find_spans(text, NOW) == ()


def test_two_times_are_both_found():
    assert len(find_spans("between 3 June 2022 and last March", NOW)) == 2


def test_the_fit_falls_with_distance_and_faster_before():
    span = Span(NOW, NOW + timedelta(days=1))
    after = [fit((span,), span.end + timedelta(days=days)) for days in range(30)]
    before = [fit((span,), span.start - timedelta(days=days)) for days in range(1, 31)]
    assert after == sorted(after, reverse=True)
    assert all(early < late for early, late in zip(before, after[1:], strict=False))
    assert fit((span,), NOW) == 1
    assert fit((), NOW) == 0


def test_a_year_says_less_than_a_day():
    (year,) = find_spans("in 2022", NOW)
    (day,) = find_spans("on 3 June 2022", NOW)
    moment = datetime(2022, 6, 3, 12, tzinfo=timezone.utc)
    assert 0 < fit((year,), moment) < fit((day,), moment)


LATIN = "last next this ago four 30 february march may 2023 0000 9999 - / . , th of day weeks years on in"
HAN = "\u4e0a\u4e2a\u6708\u5e74\u524d\u5341\u767e\u5468\u672b"
WORDS = [*LATIN.split(" "), *HAN, "99"]


@hypothesis.given(
    st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
    | st.lists(st.sampled_from(WORDS), max_size=12).map("".join)
    | st.text(max_size=60),
    st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc)),
)
def test_no_text_makes_it_fail(text, now):
    for span in find_spans(text, now):
        assert span.start < span.end
        assert 0 <= fit((span,), now) <= 1
