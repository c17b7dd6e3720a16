"""The catalogue: the one place where a change to a store becomes true."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from arrowmind.memory.schema import connect, explained

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Catalogue"]

# Connections a forked child got from its parent. SQLite forbids using or closing them there.
_abandoned: list[sqlite3.Connection] = []


class Catalogue:
    """Connections to the catalogue.

    Threads share the connections, one at a time each; a forked process opens its own.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for this thread alone, until the block ends."""
        if self._pid != os.getpid():
            _abandoned.extend(self._idle)
            self._reset()
        with explained(self.path):
            with self._lock:
                db = self._idle.pop() if self._idle else None
            db = db or connect(self.path, self._busy_seconds)
            try:
                yield db
            except BaseException:
                # Also a connection that failed to roll back ends here.
                db.close()
                raise
            with self._lock:
                if not self._closed:
                    self._idle.append(db)
                    return
            db.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of all tables."""
        with self.connection() as db:
            db.execute("BEGIN")
            yield db
            db.execute("COMMIT")

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on disk when the block ends well, undone otherwise."""
        with self.connection() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def close(self) -> None:
        """Closes idle connections, and busy ones as they come back."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for db in idle:
            db.close()
