"""The lock that one process at a time holds while it writes segments or the text index."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from arrowmind.errors import MemoryStoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["hold_lock", "try_lock"]

_POLL_SECONDS = 0.02
_open_here: set[int] = set()


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Takes the lock if nobody has it; yields whether it did. The kernel frees it when a holder dies."""
    descriptor = _open(path)
    try:
        yield _take(descriptor)
    finally:
        _close(descriptor)


@contextlib.contextmanager
def hold_lock(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Waits for the lock and holds it.

    Raises:
        MemoryStoreError: another process or thread has held it for longer than the timeout.
    """
    descriptor = _open(path)
    try:
        deadline = time.monotonic() + timeout_seconds
        while not _take(descriptor):
            if time.monotonic() > deadline:
                raise MemoryStoreError(
                    f"{path.parent}: another process has been rewriting the store for {timeout_seconds:g} s; "
                    "wait for it to end, then try again"
                )
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        _close(descriptor)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise MemoryStoreError(
            f"{path}: the lock of the store cannot be opened ({error.strerror}); is {path.parent} a folder "
            "you may write to?"
        ) from error
    _open_here.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    if descriptor in _open_here:
        _open_here.remove(descriptor)
        os.close(descriptor)


def _close_inherited() -> None:
    """In a forked child: its copy of a descriptor would hold the lock for as long as the child lives."""
    for descriptor in list(_open_here):
        _close(descriptor)


os.register_at_fork(after_in_child=_close_inherited)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
