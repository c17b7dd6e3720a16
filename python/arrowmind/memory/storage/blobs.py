"""Bytes of images and sounds: files named by their SHA-256, each there once however often it is remembered.

They are published before the transaction that names them. What is named no more is removed in a
transaction, so that nobody can name it again meanwhile; who names a blob looks in its own transaction whether
it is still there.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from typing import TYPE_CHECKING

from arrowmind.columnar import publish_bytes, sweep_temporary
from arrowmind.errors import MemoryStoreError, StorageError
from arrowmind.memory.steps import reached
from arrowmind.memory.storage.attachments import all_blobs, take_released
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from arrowmind.memory.intake.media import Media
    from arrowmind.memory.storage.attachments import Attachment
    from arrowmind.memory.storage.catalogue import Catalogue

__all__ = ["blob_problem", "ensure_blobs", "read_blob", "remove_blobs"]

_log = get_logger(__name__)
_NAME = re.compile(r"[0-9a-f]{64}")


def ensure_blobs(folder: Path, media: Iterable[Media]) -> None:
    """Publishes those that are not there.

    Raises:
        MemoryStoreError: there is no room, or the folder cannot be written.
    """
    for item in media:
        path = folder / item.attachment.sha256
        try:
            # The folder may come from a copy that left empty ones out.
            folder.mkdir(exist_ok=True)
            if not path.exists() or path.stat().st_size != item.attachment.size:
                publish_bytes(path, item.data)
                reached("blob.published")
        except (StorageError, OSError) as error:
            raise MemoryStoreError(f"blob {path} cannot be written: {error}") from error


def read_blob(folder: Path, attachment: Attachment) -> bytes:
    """The bytes of an image or a sound.

    Raises:
        MemoryStoreError: they are gone or damaged.
    """
    problem, data = _check(folder, attachment.sha256, attachment.size)
    if problem:
        raise MemoryStoreError(f"{problem}; restore the store from a backup")
    return data


def blob_problem(folder: Path, name: str, size: int) -> str:
    """What is wrong with a blob; empty if nothing is."""
    return _check(folder, name, size)[0]


def _check(folder: Path, name: str, size: int) -> tuple[str, bytes]:
    path = folder / name
    try:
        if path.stat().st_size != size:
            return f"blob {name} has {path.stat().st_size} bytes, not {size}", b""
        data = path.read_bytes()
    except OSError as error:
        return f"blob {name} cannot be read: {error.strerror}", b""
    if hashlib.sha256(data).hexdigest() != name:
        return f"blob {name} is damaged (its bytes do not give its name)", b""
    return "", data


def remove_blobs(catalogue: Catalogue, folder: Path, older_than_seconds: float) -> int:
    """Deletes blobs of forgotten memories, and old ones that never belonged to any; returns how many.

    A blob that no memory names may be on its way into a transaction while it is young.
    """
    sweep_temporary(folder)
    with catalogue.writing() as db:
        gone = [folder / name for name in take_released(db)]
        named = all_blobs(db)
        gone += [path for path in _orphans(folder, older_than_seconds) if path.name not in named]
        for path in gone:
            path.unlink(missing_ok=True)
        reached("blobs.before_commit")
    if gone:
        _log.info("blobs_removed", folder=str(folder), files=len(gone))
    return len(gone)


def _orphans(folder: Path, older_than_seconds: float) -> list[Path]:
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            is_old = time.time() - path.stat().st_mtime >= older_than_seconds
            if is_old and _NAME.fullmatch(path.name):
                found.append(path)
    return found
