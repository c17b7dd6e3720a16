"""How a log record looks. Imported by the first record that is written: structlog is not cheap."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import structlog

from arrowmind.observe.log import Event

if TYPE_CHECKING:
    import logging

__all__ = ["formatter"]


def formatter(style: str, *, colors: bool) -> logging.Formatter:
    """A formatter for records of any logger.

    Args:
        style: `console` or `json`.
        colors: Whether the stream is a terminal; NO_COLOR wins.
    """
    renderer: Any
    exceptions: Any
    if style == "json":
        renderer = structlog.processors.JSONRenderer(default=str, ensure_ascii=True)
        exceptions = structlog.processors.format_exc_info
    else:
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors and not os.environ.get("NO_COLOR"),
            exception_formatter=plain,
            pad_event_to=0,
            pad_level=False,
        )
        exceptions = _unchanged
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow=[]),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            _take_fields,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            exceptions,
            renderer,
        ],
    )


def _take_fields(_logger: Any, _method: str, event: Any) -> Any:
    """Puts the fields of an `Event`, or of `extra={"fields": ...}`, beside the event's name."""
    record: logging.LogRecord = event["_record"]
    message = record.msg
    fields: dict[str, Any] = getattr(record, "fields", {})
    if isinstance(message, Event):
        event["event"] = message.name
        fields = message.fields
    for key, value in fields.items():
        event[key if key not in event else f"{key}_"] = value
    return event


def _unchanged(_logger: Any, _method: str, event: Any) -> Any:
    return event
