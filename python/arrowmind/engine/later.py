"""What is made beside something else, and waited for where it is needed first."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Later"]

_Made = TypeVar("_Made")


class Later(Generic[_Made]):
    """A value that a thread makes, or who asks for it before the thread does. Safe from several threads.

    Example::

        head = Later(lambda: pack(table))
        head.begin()  # until here nothing is done
        ...
        head.get()
    """

    def __init__(self, make: Callable[[], _Made]) -> None:
        """Does nothing yet; `make` is called once, or again after an exception."""
        self._make: Callable[[], _Made] | None = make
        self._lock = threading.Lock()
        self._made: _Made | None = None

    def begin(self) -> None:
        """Has a thread make it. Where none can be had, who asks makes it.

        The thread is no daemon: a process that ends waits for it, as threads in native code cannot be ended.
        """
        try:
            threading.Thread(target=self._try, name="make-later").start()
        except RuntimeError:
            return

    @property
    def is_made(self) -> bool:
        """Whether `get` waits for nothing."""
        return self._make is None

    def get(self) -> _Made:
        """The value; raises what making it raises."""
        with self._lock:
            if self._make is not None:
                self._made = self._make()
                self._make = None  # and what it holds; from now on it is made
            return self._made  # type: ignore[return-value]

    def _try(self) -> None:
        with suppress(Exception):  # who asks makes it again, and is told
            self.get()
