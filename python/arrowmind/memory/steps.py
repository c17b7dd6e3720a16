"""Names of the moments between which a process may die, so that tests can make it die there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["reached", "set_hook"]

_hook: Callable[[str], None] | None = None


def reached(step: str) -> None:
    """Marks a moment at which everything written so far must make sense to whoever opens the store next."""
    if _hook is not None:
        _hook(step)


def set_hook(hook: Callable[[str], None] | None) -> None:
    """Calls ``hook`` with the name of each step from now on; None calls nothing. For tests."""
    global _hook
    _hook = hook
