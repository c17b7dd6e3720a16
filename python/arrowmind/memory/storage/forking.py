"""Keeps forks and open connections apart.

SQLite keeps a list of the locks of its process in memory. A forked child inherits the list and not the locks:
a connection it opens beside an inherited one takes none, and other processes delete the log it writes to. So
there must be no connection at the moment of a fork.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from arrowmind.errors import MemoryStoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ForkGate", "fork_gate"]

_WAIT_SECONDS = 60.0


class _Holder(Protocol):
    def close_idle(self) -> None:
        """Closes the connections that nobody uses."""


class ForkGate:
    """A fork waits for the connections in use and closes the idle ones; new ones wait for the fork."""

    def __init__(self, wait_seconds: float = _WAIT_SECONDS) -> None:
        """Makes an open gate; a fork waits so long at most."""
        self._wait_seconds = wait_seconds
        self._holders: weakref.WeakSet[_Holder] = weakref.WeakSet()
        self._spoilt = False
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._users: Counter[int] = Counter()
        self._forking = False

    def register(self, holder: _Holder) -> None:
        """Asks for the holder's idle connections to be closed before each fork."""
        with self._changed:
            self._holders.add(holder)

    @contextlib.contextmanager
    def connection_in_use(self) -> Iterator[None]:
        """Surrounds every use of a connection, from before it is opened.

        Raises:
            MemoryStoreError: this process was forked while its parent used a connection.
        """
        me = threading.get_ident()
        with self._changed:
            if self._spoilt:
                raise MemoryStoreError(
                    "this process was forked in the midst of a transaction on a memory store and cannot use "
                    "one; fork when no thread works on a store, or start the process anew (spawn)"
                )
            # Whoever is inside already goes on, for the fork waits for it.
            self._changed.wait_for(lambda: not self._forking or self._users[me] > 0)
            self._users[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._users[me] -= 1
                if not self._users[me]:
                    del self._users[me]
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Leaves no connection open, unless one is in use for too long or by this very thread."""
        self._changed.acquire()
        self._forking = True
        deadline = time.monotonic() + self._wait_seconds
        while self._users and not self._users[threading.get_ident()] and time.monotonic() < deadline:
            self._changed.wait(deadline - time.monotonic())
        if not self._users:
            for holder in list(self._holders):
                holder.close_idle()

    def after_in_parent(self) -> None:
        """Lets everyone in again."""
        self._forking = False
        self._changed.notify_all()
        self._changed.release()

    def after_in_child(self) -> None:
        """Starts afresh; the other threads are gone, and what they used cannot be closed."""
        self._spoilt = self._spoilt or bool(self._users)
        self._reset()


fork_gate = ForkGate()
os.register_at_fork(
    before=fork_gate.before_fork,
    after_in_parent=fork_gate.after_in_parent,
    after_in_child=fork_gate.after_in_child,
)
