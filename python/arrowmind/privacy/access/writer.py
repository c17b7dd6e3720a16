"""Entries wait in memory and are written together: one lock, one write and one fsync for all of them."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from arrowmind.columnar import sync_folder
from arrowmind.errors import StorageError
from arrowmind.observe import get_logger
from arrowmind.privacy.access.entry import START, Access, Head, line_of
from arrowmind.privacy.access.files import (
    MAX_BATCH_BYTES,
    end_of_log,
    log_files,
    number_of,
    path_of,
    torn_bytes,
)
from arrowmind.privacy.journal import append_bytes, held, open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.privacy.access.log import LogSettings

__all__ = ["Writer"]

_MANY = 256  # entries that are written without waiting for more
_VERSION = 1
_log = get_logger(__name__)


class Writer:
    """What one process still has to write, and the thread that writes it."""

    def __init__(self, folder: Path, settings: LogSettings) -> None:
        self.pid = os.getpid()
        self.folder, self.settings = folder, settings
        self._changed = threading.Condition()
        self._waiting: list[dict[str, Any]] = []
        self._files = threading.Lock()
        self._place: tuple[Path, int, Head] | None = None  # where the last batch of this process ended
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, values: dict[str, Any]) -> None:
        """Lets an entry wait.

        Raises:
            StorageError: too many wait already, since they cannot be written.
        """
        with self._changed:
            count = len(self._waiting)
            if count >= self.settings.max_waiting:
                raise StorageError(
                    f"{self.folder}: {count} entries of the access log could not be written; free some "
                    "space, or turn the log off"
                )
            self._waiting.append(values)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()
            if count in (0, _MANY):
                self._changed.notify_all()

    def flush(self) -> None:
        """Writes what waits. In a forked child it does nothing: what waited there is the parent's to write.

        Raises:
            StorageError: it cannot be written; it waits on.
        """
        if os.getpid() != self.pid:
            return
        with self._files:
            with self._changed:
                taken, self._waiting = self._waiting, []
            if not taken:
                return
            written = 0
            try:
                with held(self.folder / "access.lock"):
                    for written in self._write(taken):  # noqa: B007  where it stopped, when it fails
                        pass
            finally:
                with self._changed:
                    self._waiting[:0] = taken[written:]

    def close(self) -> None:
        """Writes what waits and ends the thread.

        Raises:
            StorageError: it cannot be written.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.flush()
        self.flush()  # what the first one had to say itself, of a repair

    def head(self) -> Head:
        """The head of the log on disk.

        Raises:
            StorageError: it cannot be read.
        """
        with self._files, held(self.folder / "access.lock"):
            return self._end()[2]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                deadline = time.monotonic() + self.settings.seconds
                while len(self._waiting) <= _MANY and not self._closed:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(left)
            try:
                self.flush()
            except StorageError as error:
                _log.error("the access log cannot be written", folder=str(self.folder), reason=str(error))
                time.sleep(self.settings.seconds)

    def _write(self, entries: list[dict[str, Any]]) -> Iterator[int]:
        """Writes entries in batches; yields how many are on disk."""
        path, size, head = self._end()
        lines: list[bytes] = []
        if size >= self.settings.max_bytes:
            path, size = self._next(path)
        for count, values in enumerate(entries, 1):
            if size == 0:
                start, head = line_of(head, {"action": START, "version": _VERSION, "prev": head.hash})
                lines.append(start)
                size += len(start)
            line, head = line_of(head, values)
            lines.append(line)
            size += len(line)
            is_full = size >= self.settings.max_bytes
            if count == len(entries) or is_full or sum(map(len, lines)) >= MAX_BATCH_BYTES:
                self._append(path, b"".join(lines))
                self._place = path, size, head
                lines = []
                yield count
            if is_full:
                path, size = self._next(path)

    def _append(self, path: Path, data: bytes) -> None:
        is_new = not path.exists()
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            append_bytes(descriptor, path, data)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.folder)

    def _end(self) -> tuple[Path, int, Head]:
        """The last file, its size, and the head of the log; what a killed writer left is cut off."""
        files = log_files(self.folder)
        if not files:
            return path_of(self.folder, 1), 0, Head()
        path, size = files[-1], files[-1].stat().st_size
        if self._place is not None and self._place[:2] == (path, size):
            return self._place
        size -= self._repair(path)
        head = end_of_log(path) if size else None
        if head is None:
            previous = end_of_log(files[-2]) if len(files) > 1 else Head()
            if size == 0 and previous is not None:
                return path, 0, previous
            raise StorageError(
                f"{path}: the end of the access log is damaged; verify it, and move the folder away"
            )
        return path, size, head

    def _repair(self, path: Path) -> int:
        """Cuts off what a killed writer left, and has the next batch say so."""
        count, digest = torn_bytes(path)
        if count:
            descriptor = open_private(path, os.O_RDWR)
            try:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - count)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _log.warning("an unfinished entry of the access log was removed", file=str(path), bytes=count)
            details: dict[str, int | str] = {"file": path.name, "bytes": count, "sha256": digest}
            with self._changed:
                self._waiting.append(Access("log.repair", details=details).values(time.time_ns(), ""))
        return count

    def _next(self, path: Path) -> tuple[Path, int]:
        """The file after this one; those beyond the number to keep are removed, and the log says so."""
        keep = self.settings.keep_files
        for old in log_files(self.folder)[: 1 - keep] if keep > 1 else []:
            old.unlink(missing_ok=True)
            _log.info("an old file of the access log was removed", file=str(old))
            with self._changed:
                access = Access("log.expire", details={"file": old.name, "kept": keep})
                self._waiting.append(access.values(time.time_ns(), ""))
        return path_of(self.folder, number_of(path) + 1), 0
