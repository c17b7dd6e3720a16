"""Points in time: whole microseconds since 1970 in files, aware ``datetime`` in the interface."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta, timezone

from arrowmind.errors import InvalidArgumentError

__all__ = ["NEVER", "Moment", "from_microseconds", "from_optional", "now_microseconds", "to_microseconds"]

Moment = datetime | float | int
"""A ``datetime`` (without a time zone: local time) or seconds since 1970."""

NEVER = 0
"""Stands for "no such moment" in the columns of a store."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_LIMIT = (datetime(9999, 12, 31, tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND


def now_microseconds() -> int:
    """The present."""
    return time.time_ns() // 1000


def to_microseconds(moment: Moment, name: str) -> int:
    """Microseconds since 1970.

    Args:
        moment: a point in time.
        name: what it is, for the error.

    Raises:
        InvalidArgumentError: it is no point in time, or outside the years 1 to 9999.
    """
    try:
        if isinstance(moment, datetime):
            aware = moment if moment.tzinfo is not None else moment.astimezone()
            microseconds = (aware - _EPOCH) // _MICROSECOND
        elif isinstance(moment, bool) or not math.isfinite(moment):
            raise InvalidArgumentError(f"{name}={moment!r}: give a datetime or seconds since 1970")
        else:
            microseconds = round(moment * 1_000_000)
    except (TypeError, OverflowError, OSError) as error:
        raise InvalidArgumentError(f"{name}={moment!r}: give a datetime or seconds since 1970") from error
    if not -_LIMIT < microseconds < _LIMIT:
        raise InvalidArgumentError(f"{name}={moment!r}: lies outside the years that can be stored")
    return microseconds if microseconds != NEVER else 1


def from_microseconds(microseconds: int) -> datetime:
    """The moment in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def from_optional(microseconds: int) -> datetime | None:
    """The moment in UTC, or None for `NEVER`."""
    return None if microseconds == NEVER else from_microseconds(microseconds)
