"""Moments between two pieces of work at which work that nobody waits for may rest.

Loops of such work call `may_rest` about every few milliseconds, never inside a transaction: who rests there
would keep writers waiting. In most processes it does nothing; a process that gives way says how (`resting`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["may_rest", "resting"]

_rest: Callable[[], None] | None = None


def may_rest() -> None:
    """Rests here, if this process has said how."""
    if _rest is not None:
        _rest()


@contextlib.contextmanager
def resting(rest: Callable[[], None]) -> Iterator[None]:
    """Calls ``rest`` at each such moment of this process until the block ends."""
    global _rest
    before, _rest = _rest, rest
    try:
        yield
    finally:
        _rest = before
