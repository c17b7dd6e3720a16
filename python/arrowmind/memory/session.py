"""What one process holds of an open store. A forked child makes its own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from arrowmind.memory.keeping.access import AccessLog
from arrowmind.memory.searching.aligning import load_joint
from arrowmind.memory.searching.text_search import TextSearcher
from arrowmind.memory.storage.recall_marks import RecallMark
from arrowmind.memory.storage.reviving import Reviver
from arrowmind.memory.storage.snapshot import Snapshot, SnapshotReader

if TYPE_CHECKING:
    import sqlite3

    from arrowmind.joint import JointEmbedding
    from arrowmind.memory.encoder import TextEncoder
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.paths import StorePaths

__all__ = ["Session", "SessionHolder"]


class Session:
    """Mapped segments, the open text index, access counters, and whether it recalls."""

    def __init__(self, catalogue: Catalogue, paths: StorePaths, encoder: TextEncoder | None = None) -> None:
        self.reviver = Reviver(encoder)
        self.pid = os.getpid()
        self.texts = TextSearcher(paths.index, in_memory=paths.cipher is not None)
        self.accesses = AccessLog(paths.catalogue, paths.database_key)
        self.paths = paths
        self.recalls = RecallMark(paths.recalls)
        self._joint: tuple[str | None, int, JointEmbedding] | None = None
        self._reader = SnapshotReader(catalogue, paths, self.reviver)
        self._lock = threading.Lock()

    def snapshot(self) -> Snapshot:
        """The present state of the store."""
        with self._lock:
            return self._reader.read()

    def joint(self, snapshot: Snapshot) -> JointEmbedding:
        """The joint embedding that a state of the store has in use."""
        with self._lock:
            key = (snapshot.joint, len(snapshot.spaces))
            if self._joint is None or self._joint[:2] != key:
                self._joint = (*key, load_joint(self.paths, snapshot))
            return self._joint[2]

    def snapshot_in(self, db: sqlite3.Connection) -> Snapshot:
        """The state as a transaction sees it."""
        with self._lock:
            return self._reader.read_in(db)


class SessionHolder:
    """Gives each process its own session: locks and index threads do not survive a fork."""

    def __init__(self, catalogue: Catalogue, paths: StorePaths, encoder: TextEncoder | None = None) -> None:
        self._catalogue = catalogue
        self._paths = paths
        self._encoder = encoder
        self._session = Session(catalogue, paths, encoder)

    @property
    def current(self) -> Session:
        """The session of this process."""
        if self._session.pid != os.getpid():
            self._session = Session(self._catalogue, self._paths, self._encoder)
        return self._session
