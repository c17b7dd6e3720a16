"""Structured events over the standard library's logging.

`get_logger` costs nothing: an event below the level is dropped before anything is formatted, and
structlog is imported by the first line that a handler of `configure_logging` really writes. A program that
uses the library and configures nothing sees warnings and errors on stderr, as with any other library; its
own handlers get ordinary records whose message reads `event key=value`.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Event", "Logger", "configure_logging", "get_logger"]

ROOT = "arrowmind"
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_FORMATS = ("console", "json")


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[Any]
else:
    _StreamHandler = logging.StreamHandler


class Event:
    """What happened and its fields. As text: `event key=value key='value with blanks'`."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self.name = name
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={_shown(value)}" for key, value in self.fields.items())])


def _shown(value: Any) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(mark in text for mark in " '\"=")
    return text if plain else repr(value)


class Logger:
    """Writes events with fields. Made by `get_logger`."""

    __slots__ = ("_fields", "_logger")

    def __init__(self, logger: logging.Logger, fields: dict[str, Any]) -> None:
        self._logger = logger
        self._fields = fields

    def bind(self, **fields: Any) -> Logger:
        """A logger that adds these fields to every event."""
        return Logger(self._logger, {**self._fields, **fields})

    @property
    def informs(self) -> bool:
        """Whether `info` writes: asked where a field is costly."""
        return self._logger.isEnabledFor(logging.INFO)

    def debug(self, event: str, /, **fields: Any) -> None:
        """Something of use only when looking for a fault."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        """Something that happened as it should."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        """Something that went another way than asked."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Something that failed."""
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, /, **fields: Any) -> None:
        """Like `error`, with the trace of the exception being handled."""
        self._write(logging.ERROR, event, fields, exc_info=True)

    def _write(self, level: int, event: str, fields: dict[str, Any], *, exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            message = Event(event, {**self._fields, **fields})
            self._logger.log(level, message, exc_info=exc_info, stacklevel=3)


def get_logger(name: str) -> Logger:
    """A logger of structured events; `name` is the module's `__name__`, or a short name below `arrowmind`."""
    full = name if name == ROOT or name.startswith(f"{ROOT}.") else f"{ROOT}.{name}"
    return Logger(logging.getLogger(full), {})


def configure_logging(
    level: str = "warning",
    format: str = "console",  # noqa: A002  the word users know
    *,
    stream: TextIO | None = None,
) -> None:
    """Sends ArrowMind's events to a stream. Calling it again replaces what it set.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        format: `console`, lines for people, or `json`, one object per line.
        stream: Where to; None is whatever stderr is at the time of the event.

    Raises:
        InvalidArgumentError: an unknown level or format.
    """
    if level not in _LEVELS:
        raise InvalidArgumentError(f"log level {level!r} is unknown; use one of: {', '.join(_LEVELS)}")
    if format not in _FORMATS:
        raise InvalidArgumentError(f"log format {format!r} is unknown; use one of: {', '.join(_FORMATS)}")
    handler = _Handler(stream, format)
    root = logging.getLogger(ROOT)
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])
    root.propagate = False


class _Handler(_StreamHandler):
    """Chooses its formatter, and with it imports structlog, when the first record arrives."""

    def __init__(self, stream: TextIO | None, style: str) -> None:
        super().__init__(stream)
        self._follows_stderr = stream is None
        self._style = style

    def emit(self, record: logging.LogRecord) -> None:
        if self._follows_stderr:
            self.stream = sys.stderr
        if self.stream is not None:
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        if self.formatter is None:
            from arrowmind.observe.format import formatter  # noqa: PLC0415  structlog costs 0.1 s to import

            is_terminal = bool(getattr(self.stream, "isatty", bool)())
            self.setFormatter(formatter(self._style, colors=is_terminal))
        return super().format(record)
