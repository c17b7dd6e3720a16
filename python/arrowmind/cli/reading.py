"""Options of commands that read a text of any length before they answer."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003  typer evaluates annotations
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from arrowmind.cli.groups import OptionGroup
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.cli.session import Session
    from arrowmind.engine import ArrowEngine
    from arrowmind.engine.reading import TextReader

__all__ = ["ReadingOptions"]

_PIECE = 1 << 16


@dataclass(frozen=True)
class ReadingOptions(OptionGroup):
    """What is read first, and how much of it stays in the cache."""

    title: ClassVar[str] = "Long texts"
    read: Annotated[
        Path | None,
        typer.Option("--read", help="Read this text first, of any length; - is stdin."),
    ] = None
    window: Annotated[
        int | None, typer.Option("--window", help="With --read: most recent tokens that stay.")
    ] = None
    sinks: Annotated[int | None, typer.Option("--sinks", help="With --read: first tokens that stay.")] = None
    recalled: Annotated[
        int | None, typer.Option("--recalled", help="With --read: blocks that the prompt brings back.")
    ] = None
    store: Annotated[
        Path | None, typer.Option("--store", help="With --read: folder that keeps the blocks.")
    ] = None

    def open(self, engine: ArrowEngine, session: Session) -> TextReader | None:
        """The reader, its text read; None where there is nothing to read.

        Raises:
            InvalidArgumentError: An option is out of range, or of no use without --read.
        """
        options: dict[str, Any] = {
            name: value for name, value in asdict(self).items() if name != "read" and value is not None
        }
        if self.read is None:
            if options:
                raise InvalidArgumentError(f"--{next(iter(options))} was given without --read; name a text")
            return None
        reader = engine.reader(**options)
        try:
            source = _stdin() if str(self.read) == "-" else self.read
            reader.feed(source, show_progress=session.shows_progress)
        except BaseException:
            reader.close()
            raise
        return reader


def _stdin() -> Iterator[str]:
    """Standard input, piece by piece; bytes that are no UTF-8 are read as U+FFFD."""
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    while piece := sys.stdin.read(_PIECE):
        yield piece
