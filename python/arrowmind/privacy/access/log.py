"""The access log that a store writes to."""

from __future__ import annotations

import os
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError, StorageError
from arrowmind.observe import get_logger
from arrowmind.privacy.access.writer import Writer
from arrowmind.privacy.journal import make_private_folder

if TYPE_CHECKING:
    from types import TracebackType

    from arrowmind.privacy.access.entry import Access, Head
    from arrowmind.privacy.store_key import StoreKey

__all__ = ["AccessLog", "LogSettings"]

_log = get_logger(__name__)

_renewing = threading.Lock()


def _renew_lock() -> None:
    """In a forked child, where a thread that held it did not come along."""
    global _renewing
    _renewing = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


@dataclass(frozen=True)
class LogSettings:
    """How a log is written.

    Attributes:
        seconds: entries wait for others so long at most; a kill loses those that wait.
        sync: every entry is on disk when `record` returns.
        max_bytes: a file that has so many is followed by the next.
        keep_files: older files are removed, and the log says so; 0 keeps all, and so does 1.
        max_waiting: entries that may wait while they cannot be written; then `record` refuses.
    """

    seconds: float = 1.0
    sync: bool = False
    max_bytes: int = 16 << 20
    keep_files: int = 0
    max_waiting: int = 10_000


class AccessLog:
    """An append-only, tamper-evident log. Several processes and threads may write to one folder at once.

    Each line holds the hash of the one before, so no line can be changed, moved, added or left out between
    two others without `verify_log` noticing. The end can be cut off unnoticed, and all be written anew,
    unless `head()` was kept elsewhere, as receipts do.
    """

    def __init__(
        self, folder: str | os.PathLike[str], key: StoreKey, settings: LogSettings | None = None
    ) -> None:
        """Opens a log, or makes one.

        Args:
            folder: its folder; mode 700.
            key: salts the hashes of queries.
            settings: how it is written.

        Raises:
            InvalidArgumentError: a setting cannot be.
            StorageError: the folder cannot be made.
        """
        settings = settings or LogSettings()
        if settings.seconds <= 0 or settings.max_bytes < 4096 or settings.max_waiting < 1:
            raise InvalidArgumentError(f"{settings}: needs seconds > 0, max_bytes >= 4096, max_waiting >= 1")
        self._folder, self._key, self._settings = Path(folder), key, settings
        make_private_folder(self._folder)
        self._writer = Writer(self._folder, settings)
        self._finalizer = weakref.finalize(self, _close, self._writer)

    def record(self, access: Access, *, query: str | None = None, sync: bool = False) -> None:
        """Adds an entry.

        Args:
            access: what was done.
            query: text that was asked for; only a salted hash of it is kept.
            sync: wait until it is on disk, as for what cannot be undone.

        Raises:
            StorageError: it cannot be written (with `sync`), or too many wait already.
        """
        digest = "" if query is None else self.query_hash(query)
        writer = self._own_writer()
        writer.add(access.values(time.time_ns(), digest))
        if sync or self._settings.sync:
            writer.flush()

    def query_hash(self, query: str) -> str:
        """What the log says of a query: with the store's key, equal queries can be told, and nothing else."""
        return self._key.digest("query", query.encode("utf-8", "surrogatepass"))[:32]

    def flush(self) -> None:
        """Waits until all entries are on disk.

        Raises:
            StorageError: they cannot be written.
        """
        self._own_writer().flush()

    def head(self) -> Head:
        """The end of the log, everything recorded so far included.

        Raises:
            StorageError: it cannot be written or read.
        """
        writer = self._own_writer()
        writer.flush()
        return writer.head()

    def close(self) -> None:
        """Writes what waits. Closing twice does nothing.

        Raises:
            StorageError: it cannot be written.
        """
        self._own_writer().close()

    def __enter__(self) -> AccessLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _own_writer(self) -> Writer:
        """The writer of this process: a forked child gets another, and leaves its parent's entries alone."""
        if self._writer.pid != os.getpid():
            with _renewing:
                if self._writer.pid != os.getpid():
                    self._writer = Writer(self._folder, self._settings)
                    self._finalizer = weakref.finalize(self, _close, self._writer)
        return self._writer


def _close(writer: Writer) -> None:
    """At the end of the process or of the log's life, when only the logs are left to tell of an error."""
    try:
        writer.close()
    except StorageError as error:
        _log.error("entries of the access log were lost", reason=str(error))
