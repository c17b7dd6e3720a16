"""Files that appear whole or not at all: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING

from arrowmind.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["publish", "publish_bytes", "sweep_temporary", "sync_folder"]

_TEMPORARY = re.compile(r"\..+\.(?P<pid>\d+)-[0-9a-f]{16}\.tmp")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRITE_ERRORS = _NO_ROOM | {errno.EIO, errno.EROFS}


@contextlib.contextmanager
def publish(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Opens a temporary file beside ``path`` and, when the block ends well, puts it in the place of ``path``.

    Whatever happens (an exception, a killed process, a power cut), ``path`` holds either what it held before
    or the whole new content. A process that is killed leaves its temporary file behind, which
    :func:`sweep_temporary` removes.

    Yields:
        A binary file, open for writing and reading.

    Raises:
        StorageError: the folder is missing or cannot be written, or the disk is full.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open("x+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # tells sweep_temporary that the writer lives
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        written = _remove(temporary)
        if _is_foreign(error, target, temporary):
            raise
        raise _storage_error(target, error, written) from error
    except BaseException:
        _remove(temporary)
        raise


def publish_bytes(path: str | os.PathLike[str], data: bytes | bytearray | memoryview) -> None:
    """Publishes ``data`` as the content of ``path``; see :func:`publish`."""
    with publish(path) as file:
        file.write(data)


def sweep_temporary(folder: str | os.PathLike[str]) -> list[Path]:
    """Removes what killed processes left of their publications in ``folder``.

    Returns:
        The files removed. Those of running processes stay.
    """
    removed = []
    for entry in Path(folder).iterdir():
        match = _TEMPORARY.fullmatch(entry.name)
        if match and not _is_running(int(match["pid"])) and not _is_locked(entry):
            entry.unlink(missing_ok=True)
            removed.append(entry)
    return removed


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _is_locked(temporary: Path) -> bool:
    """Whether a writer holds the file: true across containers, whose process numbers differ."""
    try:
        with temporary.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(temporary: Path) -> int:
    """Removes the temporary file and returns the size it had, 0 when there was none."""
    with contextlib.suppress(OSError):
        size = temporary.stat().st_size
        temporary.unlink()
        return size
    return 0


def _is_foreign(error: OSError, target: Path, temporary: Path) -> bool:
    """Whether the error comes from what the caller's block did with other files."""
    if error.filename is None:
        return error.errno not in _WRITE_ERRORS
    return Path(os.fsdecode(error.filename)) not in (target, temporary, target.parent)


def _storage_error(target: Path, error: OSError, written: int) -> StorageError:
    if error.errno in _NO_ROOM:
        disk = os.statvfs(target.parent)
        free = disk.f_bavail * disk.f_frsize
        return StorageError(
            f"{target}: no room for it ({error.strerror}): {written} bytes were written and removed again, "
            f"{free} bytes are free in {target.parent}; free some space or choose another folder"
        )
    return StorageError(
        f"{target}: cannot be written ({error.strerror}); is {target.parent} a folder you may write to?"
    )
