"""How often memories are recalled: counted in memory, written now and then."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.forking import fork_gate
from arrowmind.memory.storage.schema import connect, explained
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["AccessLog"]

_log = get_logger(__name__)
_MAX_WAITING = 512
_MAX_SECONDS = 60.0


class AccessLog:
    """Counters on their way to the catalogue. They are not durable: what waits is lost with the process."""

    def __init__(self, path: Path, key: str | None = None) -> None:
        self._path, self._key = path, key
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[int, int]] = {}
        self._since = time.monotonic()

    def note(self, ids: Iterable[int], now: int) -> None:
        """Counts one access each; writes if enough has gathered, but never waits for another writer."""
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            for id_ in ids:
                count, _ = self._waiting.get(id_, (0, 0))
                self._waiting[id_] = (count + 1, now)
            due = len(self._waiting) >= _MAX_WAITING or time.monotonic() - self._since > _MAX_SECONDS
        if due:
            self.write(busy_seconds=0.0)

    def drop(self, ids: Iterable[int]) -> None:
        """Forgets what waits for these memories."""
        with self._lock:
            for id_ in ids:
                self._waiting.pop(id_, None)

    def waiting(self, id_: int) -> tuple[int, int]:
        """(count, last access) of a memory that are not written yet."""
        with self._lock:
            return self._waiting.get(id_, (0, 0))

    def write(self, busy_seconds: float) -> None:
        """Writes what waits, without waiting for the disk. On failure it goes on waiting."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            self._since = time.monotonic()
        if not waiting:
            return
        try:
            with (
                fork_gate.connection_in_use(),
                explained(self._path),
                contextlib.closing(connect(self._path, busy_seconds, key=self._key, durable=False)) as db,
            ):
                db.execute("BEGIN IMMEDIATE")
                tables.add_accesses(db, _known(db, waiting))
                db.execute("COMMIT")
        except MemoryStoreError as error:
            _log.debug("access_counts_postponed", error=str(error))
            self._put_back(waiting)

    def _put_back(self, counts: dict[int, tuple[int, int]]) -> None:
        with self._lock:
            if len(self._waiting) > 100 * _MAX_WAITING:
                return
            for id_, (count, last) in counts.items():
                newer, later = self._waiting.get(id_, (0, 0))
                self._waiting[id_] = (count + newer, max(last, later))


def _known(db: sqlite3.Connection, counts: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Without memories that were forgotten meanwhile, so that their counters do not come back."""
    dead = {id_ for id_, _ in tables.tombstones(db)}
    return {id_: value for id_, value in counts.items() if id_ not in dead}
