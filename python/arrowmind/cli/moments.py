"""Moments as people and files write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from arrowmind.errors import InvalidArgumentError

__all__ = ["parse_moment"]


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
