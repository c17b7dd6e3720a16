"""Recalls tell other processes that they are under way.

The mark is a shared lock on an empty file of the store, held while a recall lasts. It costs two calls of the
system and writes nothing; the kernel takes it away when its process dies, so no mark is ever stale, and what
somebody writes into the file is never read. Where the file cannot be opened or locked, as in a store that may
only be read or on a file system without locks, recalls go unmarked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["RecallMark", "RecallWatch"]

# A pipe or a link in its place must neither keep us waiting nor lead elsewhere.
_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ABSENT = -1


class RecallMark:
    """Says of one process whether any of its threads recalls. A forked child needs one of its own."""

    def __init__(self, path: Path) -> None:
        """Takes the path of the file; it is opened by the first recall."""
        self._path = path
        self._lock = threading.Lock()
        self._under_way = 0
        self._descriptor: int | None = None

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Marks the block."""
        with self._lock:
            self._under_way += 1
            if self._under_way == 1:
                _change(self._open(), fcntl.LOCK_SH)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                if self._under_way == 0:
                    _change(self._open(), fcntl.LOCK_UN)

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = _opened(self._path)
            _close_with(self, self._descriptor)
        return self._descriptor


class RecallWatch:
    """Tells whether any process recalls."""

    def __init__(self, path: Path) -> None:
        """Takes the path of the file, which is made if it is not there."""
        self._descriptor = _opened(path)
        _close_with(self, self._descriptor)

    def is_busy(self) -> bool:
        """Whether a recall is under way now; False where nobody can tell."""
        if self._descriptor == _ABSENT:
            return False
        # A recall that begins in the moment between the two goes unmarked.
        taken = _change(self._descriptor, fcntl.LOCK_EX)
        if taken:
            _change(self._descriptor, fcntl.LOCK_UN)
        return taken is False


def _opened(path: Path) -> int:
    """A descriptor of the file, or `_ABSENT`."""
    for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, flags | _SAFELY, 0o644)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
    return _ABSENT


def _change(descriptor: int, operation: int) -> bool | None:
    """Whether a lock could be taken; None where it is not known."""
    if descriptor == _ABSENT:
        return None
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _close_with(owner: object, descriptor: int) -> None:
    """Closes a descriptor when its owner goes, in the process that opened it."""
    if descriptor != _ABSENT:
        weakref.finalize(owner, _close_in, os.getpid(), descriptor)


def _close_in(pid: int, descriptor: int) -> None:
    if os.getpid() == pid:
        with contextlib.suppress(OSError):
            os.close(descriptor)
