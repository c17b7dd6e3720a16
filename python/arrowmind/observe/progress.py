"""How library code tells how far it is, knowing nothing of terminals."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "no_progress"]


class Progress(Protocol):
    """Called now and then by long-running work, from one thread at a time."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Tells that `done` of `total` units of `what` are finished; `total` is 0 while it is unknown."""


def no_progress(done: int, total: int, what: str) -> None:
    """Says nothing."""
