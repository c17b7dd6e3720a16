"""Progress for logs: a line now and then where no terminal shows bars."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from arrowmind.observe import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arrowmind.observe import Progress

__all__ = ["progress_or_lines"]

_EVERY_SECONDS = 5.0


@contextmanager
def progress_or_lines() -> Iterator[Progress]:
    """Bars on a terminal; elsewhere lines on stderr, at most one in five seconds of each kind of work."""
    if sys.stderr.isatty():
        with progress_bar() as progress:
            yield progress
        return
    told: dict[str, float] = {}

    def line(done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if what in told and now - told[what] < _EVERY_SECONDS and done != total:
            return
        told[what] = now
        print(f"{what}: {done}" + (f" of {total}" if total else ""), file=sys.stderr, flush=True)

    yield line
