"""What a command works with: the settings, and where its results and its progress go."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.config import Config, apply_native, read_config, report_problems
from arrowmind.errors import ConfigurationError
from arrowmind.observe import configure_logging, progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from arrowmind.observe import Progress

__all__ = ["Session", "open_session"]


@dataclass(frozen=True)
class Session:
    """Settings and output of one command.

    Attributes:
        config: The settings; the defaults when they were refused.
        refusal: Why the configuration was refused, or None.
        as_json: Print one JSON document instead of text.
        quiet: Print results and errors only, no progress.
    """

    config: Config
    refusal: ConfigurationError | None = None
    as_json: bool = False
    quiet: bool = False

    def show(self, data: Mapping[str, Any], text: Callable[[], None]) -> None:
        """Prints a result: `data` as JSON, or whatever `text` prints."""
        if self.as_json:
            print(json.dumps(data, ensure_ascii=not _speaks_unicode(), default=str, allow_nan=False))
        else:
            text()

    @property
    def shows_progress(self) -> bool:
        """Whether somebody watches: stderr is a terminal, and the user did not ask for quiet."""
        return not self.quiet and sys.stderr is not None and sys.stderr.isatty()

    def progress(self, after: float = 0.0) -> AbstractContextManager[Progress]:
        """Something to hand to long-running library code; bars on stderr if that is a terminal.

        Args:
            after: Seconds that pass before anything is drawn.
        """
        return progress_bar(enabled=self.shows_progress, after=after)


def open_session(
    *,
    as_json: bool = False,
    strict: bool = False,
    config: str = "",
    overrides: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Session:
    """Reads the settings and sets up the logs. A refused configuration is left in `Session.refusal`."""
    try:
        settings = read_config(config or None, overrides=overrides)
    except ConfigurationError as error:
        configure_logging()
        return Session(Config(), error, as_json, quiet)
    configure_logging(settings.log.level, settings.log.format)
    try:
        report_problems(settings, strict=strict)
        apply_native(settings)
    except ConfigurationError as error:
        return Session(settings, error, as_json, quiet)
    return Session(settings, None, as_json, quiet)


def _speaks_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
