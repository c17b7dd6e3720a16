"""Copies a store while it is in use."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from arrowmind.errors import MemoryStoreError
from arrowmind.memory.steps import reached
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.attachments import all_blobs
from arrowmind.memory.storage.forking import fork_gate
from arrowmind.memory.storage.lock import hold_lock
from arrowmind.memory.storage.paths import StorePaths
from arrowmind.memory.storage.schema import connect, explained
from arrowmind.memory.storage.sealing import count_write, seal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.observe import Progress

__all__ = ["back_up"]

_PAGES = 256
_BUSY_SECONDS = 10.0


def back_up(
    catalogue: Catalogue, paths: StorePaths, target: Path, busy_seconds: float, progress: Progress
) -> int:
    """Copies the store to a new folder, as it is at one moment; others go on reading and remembering.

    The catalogue is copied first, and segments and blobs that the copy names while the lock of the store
    keeps them from being removed. The text index is left out: it is built again by the first recall. The
    folder appears under its name when it is complete.

    Returns:
        Bytes of the copy.

    Raises:
        MemoryStoreError: the target is there already, or cannot be written.
    """
    if target.exists():
        raise MemoryStoreError(f"{target}: is there already; choose a new folder")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        copy = StorePaths(part, paths.cipher)
        copy.make()
        with hold_lock(paths.lock, busy_seconds), explained(copy.catalogue):
            _copy_catalogue(catalogue, copy)
            reached("backup.catalogue")
            size = _copy_files(paths, copy, progress)
        if paths.cipher is not None:
            shutil.copyfile(paths.key, copy.key)
            copy.key.chmod(0o600)
            _sync(copy.key)
        if paths.privacy.is_dir():
            shutil.copytree(paths.privacy, copy.privacy)
        _sync(part)
        part.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise MemoryStoreError(f"{target}: the copy cannot be written: {error}; free some space") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return size


def _copy_catalogue(catalogue: Catalogue, copy: StorePaths) -> None:
    with catalogue.connection() as source, contextlib.closing(_opened(copy, create=True)) as db:
        source.backup(db, pages=_PAGES)
        # The index stays behind; digests of tables, if there are any, are those of the store.
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE segment SET indexed = 0")
        db.execute("DELETE FROM text_index")
        count_write(db)
        seal(db)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _sync(copy.catalogue)


def _opened(copy: StorePaths, *, create: bool = False) -> sqlite3.Connection:
    return connect(copy.catalogue, _BUSY_SECONDS, key=copy.database_key, create=create)


def _copy_files(paths: StorePaths, copy: StorePaths, progress: Progress) -> int:
    copy.joint.mkdir(exist_ok=True)
    named = list(_named(paths, copy))
    total, done = sum(size for _, _, size in named), 0
    for source, target, size in named:
        shutil.copyfile(source, target)
        if target.stat().st_size != size:
            raise MemoryStoreError(f"{source}: has not the size it should have; verify the store")
        _sync(target)
        done += size
        progress(done, total, "bytes")
    for folder in (copy.segments, copy.blobs, copy.joint):
        _sync(folder)
    return total + copy.catalogue.stat().st_size


def _named(paths: StorePaths, copy: StorePaths) -> Iterator[tuple[Path, Path, int]]:
    """What the copied catalogue names: from where, to where, bytes."""
    with (
        fork_gate.connection_in_use(),
        explained(copy.catalogue),
        contextlib.closing(_opened(copy)) as db,
    ):
        segments, blobs = tables.segments(db), all_blobs(db)
        joint = tables.settings(db).get("joint")
    for segment in segments:
        yield paths.segments / segment.name, copy.segments / segment.name, segment.bytes
    if joint is not None:
        path = paths.joint / str(joint)
        yield path, copy.joint / path.name, path.stat().st_size
    for name, size in blobs.items():
        yield paths.blob(name), copy.blob(name), paths.files.stored_bytes(size)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
