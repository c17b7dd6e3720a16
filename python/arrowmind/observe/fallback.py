"""Never a silent fallback: each one is logged with its reason and counted."""

from __future__ import annotations

from typing import Any

from arrowmind.observe.log import get_logger
from arrowmind.observe.metrics import fallback_events

__all__ = ["record_fallback"]

_log = get_logger("fallback")


def record_fallback(what: str, reason: str, /, **fields: Any) -> None:
    """Logs a warning and counts it in `arrowmind_fallback_events_total`.

    Args:
        what: What was asked for, a short fixed word, for instance `device`.
        reason: Why it was not to be had, a short fixed phrase; it becomes a label, so no paths or numbers.
        **fields: Whatever else helps; logged, not counted.
    """
    fallback_events.add(what=what, reason=reason)
    _log.warning("fallback", what=what, reason=reason, **fields)
