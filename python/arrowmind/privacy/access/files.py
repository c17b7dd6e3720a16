"""The files of a log, and how one ends."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from arrowmind.errors import StorageError
from arrowmind.privacy.access.entry import MAX_LINE_BYTES, Head, chained, parse_line
from arrowmind.privacy.journal import write_failed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAX_BATCH_BYTES", "end_of_log", "log_files", "number_of", "path_of", "torn_bytes"]

MAX_BATCH_BYTES = 1 << 18
"""Bytes that are synced together: no more than these are unfinished after a power cut."""

_NAME = re.compile(r"access-([0-9]{8})\.log")


def log_files(folder: Path) -> list[Path]:
    """The files, oldest first.

    Raises:
        StorageError: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{folder}: cannot be read ({error.strerror})") from error


def path_of(folder: Path, number: int) -> Path:
    """The file with a number."""
    return folder / f"access-{number:08}.log"


def number_of(path: Path) -> int:
    """The number of a file."""
    return int(path.name[7:15])


def end_of_log(path: Path) -> Head | None:
    """The head after the last line of a file; None if it has no line, or the last one is none.

    Raises:
        StorageError: it cannot be read.
    """
    tail = _tail(path, MAX_LINE_BYTES)
    start = tail.rfind(b"\n", 0, -1) + 1
    parsed = parse_line(tail[start:])
    return None if parsed is None else Head(parsed[2]["n"], parsed[0])


def torn_bytes(path: Path) -> tuple[int, str]:
    """What a writer that was killed, or a power cut, left at the end: its length, and its SHA-256 in hex.

    That is an unfinished line; or all from the first line on that does not fit its chain, if it holds a zero
    byte, which no line does and a page that was never written consists of. What was changed on purpose stays.

    Raises:
        StorageError: it cannot be read.
    """
    tail = _tail(path, MAX_BATCH_BYTES + 2 * MAX_LINE_BYTES)
    is_whole = len(tail) == path.stat().st_size
    place = 0 if is_whole else tail.find(b"\n") + 1
    before: str | None = None
    while end := tail.find(b"\n", place) + 1:
        parsed = parse_line(tail[place:end])
        if parsed is None or (before is not None and chained(before, parsed[1]) != parsed[0]):
            break
        before, place = parsed[0], end
    rest = tail[place:]
    if b"\0" not in rest:
        rest = rest[rest.rfind(b"\n") + 1 :]
    return (len(rest), hashlib.sha256(rest).hexdigest()) if rest else (0, "")


def _tail(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size)
    except OSError as error:
        raise write_failed(path, error) from error
