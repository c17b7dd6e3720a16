"""How library code tells how far it is, knowing nothing of terminals."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Progress", "no_progress", "progress_bar"]


class Progress(Protocol):
    """Called now and then by long-running work, from one thread at a time."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Tells that `done` of `total` units of `what` are finished; `total` is 0 while it is unknown."""


def no_progress(done: int, total: int, what: str) -> None:
    """Says nothing."""


@contextmanager
def progress_bar(*, enabled: bool = True, after: float = 0.0) -> Iterator[Progress]:
    """A `Progress` that draws bars on stderr, one for each `what`, gone at the end; or says nothing.

    Args:
        enabled: False gives `no_progress`.
        after: Seconds that pass before anything is drawn.
    """
    if not enabled:
        yield no_progress
        return
    start, drawn = time.monotonic() + after, None
    with ExitStack() as stack:

        def report(done: int, total: int, what: str) -> None:
            nonlocal drawn
            if drawn is None and time.monotonic() >= start:
                from arrowmind.observe.bars import bars  # noqa: PLC0415  rich costs 50 ms

                drawn = stack.enter_context(bars())
            if drawn is not None:
                drawn(done, total, what)

        yield report
