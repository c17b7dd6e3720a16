"""The catalogue: the one place where a change to a store becomes true."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage.forking import fork_gate
from arrowmind.memory.storage.schema import connect, explained
from arrowmind.memory.storage.sealing import count_write, seal
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Catalogue"]

_log = get_logger(__name__)


class Catalogue:
    """Connections to the catalogue.

    Threads share the connections, one at a time each; none is open while the process forks.
    """

    def __init__(self, path: Path, busy_seconds: float, key: str | None = None) -> None:
        self.path = path
        self._key = key
        self._busy_seconds = busy_seconds
        self._reset()
        fork_gate.register(self)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for this thread alone, until the block ends."""
        with fork_gate.connection_in_use(), explained(self.path):
            db = self._take()
            try:
                yield db
            except BaseException:
                # Also a connection that failed to roll back ends here.
                db.close()
                raise
            self._put_back(db)

    def _take(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            db = self._idle.pop() if self._idle else None
        return db or self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = connect(self.path, self._busy_seconds, key=self._key)
        try:
            # Takes the lock that a change of encryption waits for. Who waited for that one has the old file.
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not self.path.exists():
                raise MemoryStoreError(
                    f"{self.path.parent}: was encrypted or decrypted meanwhile; open the store again"
                )
        except BaseException:
            db.close()
            raise
        return db

    def _put_back(self, db: sqlite3.Connection) -> None:
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
            count_write(db)
            db.execute("COMMIT")

    def seal(self, *, whole: bool = False) -> None:
        """Notes digests of all tables, so that damage is noticed; gives up if others are writing.

        Args:
            whole: also of tables that are so large that it takes seconds.
        """
        try:
            with self.connection() as db:
                db.execute("PRAGMA busy_timeout = 0")
                db.execute("BEGIN IMMEDIATE")
                seal(db, whole=whole)
                db.execute("COMMIT")
                db.execute(f"PRAGMA busy_timeout = {round(1000 * self._busy_seconds)}")
        except MemoryStoreError as error:
            _log.info("catalogue_not_sealed", error=str(error))

    def close_idle(self) -> None:
        """Closes the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for db in idle:
            db.close()

    def close(self) -> None:
        """Closes idle connections, and busy ones as they come back."""
        if self._pid != os.getpid():
            return
        with fork_gate.connection_in_use():
            with self._lock:
                self._closed = True
            self.close_idle()
