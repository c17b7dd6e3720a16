"""Moments as people, files and programs write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from arrowmind.errors import InvalidArgumentError

__all__ = ["parse_expiry", "parse_moment"]

_SPAN = re.compile(r"(\d{1,9}) ?([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_moment(value: Any, name: str) -> datetime | float | None:
    """A moment from ISO 8601 text (local time if it names no zone) or seconds since 1970; None stays None.

    Raises:
        InvalidArgumentError: it is neither.
    """
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    try:
        # Python 3.10 does not know the Z that stands for UTC.
        return datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        raise InvalidArgumentError(
            f"{name} = {value!r:.80} is no moment; write 2026-01-31, 2026-01-31T14:00+01:00, or seconds"
        ) from None


def parse_expiry(value: Any, name: str) -> datetime | timedelta | float | None:
    """A moment as above, or a time from now such as `30m`, `12h`, `7d` or `2w`.

    Raises:
        InvalidArgumentError: it is neither.
    """
    span = _SPAN.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if span is None:
        return parse_moment(value, name)
    try:
        return timedelta(**{_UNITS[span[2]]: int(span[1])})
    except OverflowError:
        raise InvalidArgumentError(f"{name} = {value!r:.80} is too long; leave it out") from None
