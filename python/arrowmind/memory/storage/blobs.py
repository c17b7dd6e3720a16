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

from arrowmind.columnar import sweep_temporary
from arrowmind.errors import MemoryStoreError, OptimizationError, StorageError
from arrowmind.memory.steps import reached
from arrowmind.memory.storage.attachments import all_blobs, take_released
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from arrowmind.memory.intake.media import Media
    from arrowmind.memory.storage.attachments import Attachment
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.paths import StorePaths

__all__ = ["blob_problem", "ensure_blobs", "read_blob", "remove_blobs"]

_log = get_logger(__name__)
_NAME = re.compile(r"[0-9a-f]{64}")


def ensure_blobs(paths: StorePaths, media: Iterable[Media]) -> None:
    """Publishes those that are not there.

    Raises:
        MemoryStoreError: there is no room, or the folder cannot be written.
    """
    for item in media:
        path = paths.blob(item.attachment.sha256)
        try:
            # The folder may come from a copy that left empty ones out.
            paths.blobs.mkdir(exist_ok=True)
            size = paths.files.stored_bytes(item.attachment.size)
            if not path.exists() or path.stat().st_size != size:
                with paths.files.publish(path) as file:
                    file.write(item.data)
                reached("blob.published")
        except (StorageError, OSError) as error:
            raise MemoryStoreError(f"blob {path} cannot be written: {error}") from error


def read_blob(paths: StorePaths, attachment: Attachment) -> bytes:
    """The bytes of an image or a sound.

    Raises:
        MemoryStoreError: they are gone or damaged.
    """
    problem, data = _check(paths, attachment.sha256, attachment.size)
    if problem:
        raise MemoryStoreError(f"{problem}; restore the store from a backup")
    return data


def blob_problem(paths: StorePaths, name: str, size: int) -> str:
    """What is wrong with a blob; empty if nothing is."""
    return _check(paths, name, size)[0]


def _check(paths: StorePaths, name: str, size: int) -> tuple[str, bytes]:
    path, stored = paths.blob(name), paths.files.stored_bytes(size)
    try:
        if path.stat().st_size != stored:
            return f"blob {name} has {path.stat().st_size} bytes, not {stored}", b""
        data = paths.files.read(path)
    except OSError as error:
        return f"blob {name} cannot be read: {error.strerror}", b""
    except OptimizationError as error:
        return f"blob {name} is damaged: {error}", b""
    if hashlib.sha256(data).hexdigest() != name:
        return f"blob {name} is damaged (its bytes do not give its name)", b""
    return "", data


def remove_blobs(catalogue: Catalogue, paths: StorePaths, older_than_seconds: float) -> int:
    """Deletes blobs of forgotten memories, and old ones that never belonged to any; returns how many.

    A blob that no memory names may be on its way into a transaction while it is young.
    """
    folder = paths.blobs
    sweep_temporary(folder)
    with catalogue.writing() as db:
        gone = [paths.blob(name) for name in take_released(db)]
        named = {paths.blob(name).name for name in all_blobs(db)}
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
