"""Times in Chinese: "2023年5月8日", "上个月", "三天前", "去年夏天"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.memory.ranking.dates import calendar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from arrowmind.memory.ranking.dates.span import Span

__all__ = ["spans"]

_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {
    "两": 2,
    "兩": 2,
    "\u3007": 0,
}
_UNITS = {
    "分钟": "minute",
    "小时": "hour",
    "天": "day",
    "日": "day",
    "周": "week",
    "週": "week",
    "星期": "week",
}
_UNITS |= {"礼拜": "week", "月": "month", "年": "year"}
_FIXED = {
    "大前天": -3,
    "前天": -2,
    "昨天": -1,
    "昨晚": -1,
    "昨日": -1,
    "今天": 0,
    "今晚": 0,
    "今早": 0,
    "今日": 0,
}
_FIXED |= {"明天": 1, "后天": 2, "後天": 2}
_RELATIVE = {"上": -1, "这": 0, "這": 0, "本": 0, "下": 1, "上上": -2}
_YEARS = {"大前年": -3, "前年": -2, "去年": -1, "今年": 0, "明年": 1}
_WEEKDAYS = {day: number for number, day in enumerate("一二三四五六")} | {"日": 6, "天": 6, "末": 7}
_SEASONS = {"春": "spring", "夏": "summer", "秋": "autumn", "冬": "winter"}

_NUMBER = "([0-9]{1,4}|[零\u3007一二三四五六七八九十百两兩]{1,5}|半|几|幾)"
_SHIFT = "(上上|上|这|這|本|下)(?:一)?个?個?"
_UNIT = "(分钟|小时|天|日|周|週|星期|礼拜|月|年)"
_WEEK = "(?:周|週|星期|礼拜)"


def spans(text: str, now: datetime) -> Iterator[Span]:
    """Times that a text speaks of; the first pattern that takes a stretch of it keeps it."""
    taken = [False] * (len(text) + 1)
    for pattern, make in _PATTERNS:
        for match in pattern.finditer(text):
            if any(taken[match.start() : match.end()]):
                continue
            span = make(match, now)
            if span is not None:
                taken[match.start() : match.end()] = [True] * (match.end() - match.start())
                yield span


def _number(text: str) -> float:
    """A number in digits or in characters, up to 999; 半 is a half, 几 some."""
    if text.isascii():
        return float(text)
    if text in ("半", "几", "幾"):
        return 0.5 if text == "半" else 3
    total, digit = 0, 0
    for char in text:
        if char in ("十", "百"):
            total += (digit or 1) * (10 if char == "十" else 100)
            digit = 0
        else:
            digit = _DIGITS[char]
    return total + digit


def _full(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.month(
        now, int(_number(match[2])), int(match[1]), int(_number(match[3])) if match[3] else None
    )


def _relative_year_month(match: re.Match[str], now: datetime) -> Span | None:
    date = int(_number(match[3])) if match[3] else None
    return calendar.month(now, int(_number(match[2])), now.year + _YEARS[match[1]], date)


def _relative_year_season(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.season(now, _SEASONS[match[2]], now.year + _YEARS[match[1]])


def _any_month(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.month(now, int(_number(match[1])), None, int(_number(match[2])) if match[2] else None)


def _fixed(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.day(now, _FIXED[match[0]])


def _ago(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.ago(now, _number(match[1]), _UNITS[match[2]])


def _recent(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.last(now, _number(match[1]), _UNITS[match[2]])


def _week_day(match: re.Match[str], now: datetime) -> Span | None:
    shift, number = _RELATIVE[match[1]], _WEEKDAYS[match[2]]
    return calendar.weekend(now, shift) if number == 7 else calendar.weekday(now, number, shift)


def _week(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.week(now, _RELATIVE[match[1]])


def _month(match: re.Match[str], now: datetime) -> Span | None:
    first = calendar.shift_month(now.replace(day=1), _RELATIVE[match[1]])
    return calendar.month(now, first.month, first.year)


def _year(match: re.Match[str], now: datetime) -> Span | None:
    return calendar.year(now, now.year + _YEARS[match[1]])


def _plain_year(match: re.Match[str], now: datetime) -> Span | None:
    number = int(match[1])
    return calendar.year(now, number) if 1900 <= number <= 2099 else None


def _compile(
    *rows: tuple[str, Callable[[re.Match[str], datetime], Span | None]],
) -> list[tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Span | None]]]:
    return [(re.compile(pattern), make) for pattern, make in rows]


_PATTERNS = _compile(
    (rf"(\d{{4}})年{_NUMBER}月(?:份)?(?:{_NUMBER}[日号號])?", _full),
    (rf"(大前年|前年|去年|今年|明年){_NUMBER}月(?:份)?(?:{_NUMBER}[日号號])?", _relative_year_month),
    (r"(大前年|前年|去年|今年|明年)的?(春|夏|秋|冬)[天季]?", _relative_year_season),
    (r"大前天|前天|昨天|昨晚|昨日|今天|今晚|今早|今日|明天|后天|後天", _fixed),
    (rf"{_NUMBER}[个個]?多?{_UNIT}(?:以?前|之前)", _ago),
    (rf"(?:最近|过去|過去|近)(?:的)?{_NUMBER}[个個]?{_UNIT}", _recent),
    (rf"{_SHIFT}{_WEEK}([一二三四五六日天末])", _week_day),
    (rf"{_SHIFT}{_WEEK}", _week),
    (rf"{_SHIFT}月", _month),
    (rf"(?<![0-9零\u3007一二三四五六七八九十百两个個]){_NUMBER}月(?:份)?(?:{_NUMBER}[日号號])?", _any_month),
    (r"(大前年|前年|去年|今年|明年)", _year),
    (r"(?<!\d)(\d{4})年", _plain_year),
)
