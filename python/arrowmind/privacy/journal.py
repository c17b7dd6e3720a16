"""Records that are only ever appended to a file, by several processes, each once and whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from arrowmind.columnar import sync_folder
from arrowmind.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "append_bytes",
    "held",
    "make_private_folder",
    "open_private",
    "publish_private",
    "write_failed",
]

_open_here: set[int] = set()


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Holds a lock file against other threads and processes; the kernel frees it when the holder dies.

    Raises:
        StorageError: it cannot be opened.
    """
    descriptor = open_private(lock, os.O_RDWR | os.O_CREAT)
    _open_here.add(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor in _open_here:
            _open_here.remove(descriptor)
            os.close(descriptor)


def _close_inherited() -> None:
    """In a forked child: its copy of a descriptor would hold the lock for as long as the child lives."""
    for descriptor in list(_open_here):
        _open_here.remove(descriptor)
        os.close(descriptor)


os.register_at_fork(after_in_child=_close_inherited)


def make_private_folder(folder: Path) -> None:
    """Makes a folder that nobody else may read, if there is none.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise write_failed(folder, error) from error


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a regular file; one that is made may be read by nobody else.

    Raises:
        StorageError: it cannot be opened, or is no regular file.
        FileNotFoundError: there is none, and `flags` do not make one.
    """
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except FileNotFoundError:
        if flags & os.O_CREAT:
            raise StorageError(f"{path}: its folder is not there; make it first") from None
        raise
    except OSError as error:
        raise write_failed(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(f"{path}: is no regular file; remove it")
    return descriptor


def append_bytes(descriptor: int, path: Path, data: bytes) -> None:
    """Writes at the end and waits for the disk; what was written of it is cut off again if that fails.

    Raises:
        StorageError: it could not be written.
    """
    size = os.fstat(descriptor).st_size
    try:
        os.lseek(descriptor, size, os.SEEK_SET)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise write_failed(path, error) from error


def publish_private(path: Path, data: bytes) -> None:
    """Makes or replaces a small file whole; at no time may anybody else read it.

    Raises:
        StorageError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(8).hex()}.tmp")
    descriptor = open_private(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        append_bytes(descriptor, temporary, data)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise write_failed(path, error) from error
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def write_failed(path: Path, error: OSError) -> StorageError:
    """The error to raise for one of the system."""
    remedy = (
        "free some space"
        if error.errno in (errno.ENOSPC, errno.EDQUOT)
        else f"is {path.parent} a folder you may write to?"
    )
    return StorageError(f"{path}: cannot be written ({error.strerror}); {remedy}")
