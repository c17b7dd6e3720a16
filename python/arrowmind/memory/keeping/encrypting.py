"""Encrypts a store, decrypts it, or gives it another key: everything is written anew beside what there is.

How a killed process leaves either the old or the new whole, `storage.encryption` says.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.columnar import sync_folder
from arrowmind.errors import MemoryStoreError, OptimizationError
from arrowmind.memory.keeping.database_copy import copy_database, exclusive
from arrowmind.memory.steps import reached
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.attachments import all_blobs
from arrowmind.memory.storage.blobs import blob_problem
from arrowmind.memory.storage.encryption import catalogue_part, finish_change
from arrowmind.memory.storage.forking import fork_gate
from arrowmind.memory.storage.lock import hold_lock, try_lock
from arrowmind.memory.storage.schema import connect, explained
from arrowmind.memory.storage.sealing import count_write, seal
from arrowmind.memory.storage.segment import file_checksum
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.tables import SegmentRow
    from arrowmind.observe import Progress
    from arrowmind.weights.encryption.secret import Secret

__all__ = ["EncryptionReport", "change_encryption", "refuse_encrypted"]

_COPY_BYTES = 1 << 20
_JOINT = "joint"


@dataclass(frozen=True)
class EncryptionReport:
    """What a change of encryption did.

    Attributes:
        encrypted: whether the store is, now.
        files: written anew.
        bytes: of segments, images and sounds.
    """

    encrypted: bool
    files: int
    bytes: int


def change_encryption(
    old: StorePaths,
    new: StorePaths,
    secret: Secret | None,
    busy_seconds: float,
    progress: Progress = no_progress,
) -> EncryptionReport:
    """Makes a store what `new` says; nobody else may have it open.

    Args:
        old: as it is.
        new: the same folder, with another cipher or without one.
        secret: opens the file of the key of `new`; None if that is not encrypted.
        busy_seconds: how long to wait for others to let go of the store.
        progress: called with (bytes written, all, "bytes").

    Raises:
        MemoryStoreError: the store is in use, damaged, or there is no room; it stays as it was.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(hold_lock(old.lock, busy_seconds))
        if old.cipher is None:
            refuse_encrypted(old)
        if not stack.enter_context(try_lock(old.consolidation_lock)):
            raise MemoryStoreError(f"{old.root}: another process consolidates this store; wait for it to end")
        stack.enter_context(fork_gate.connection_in_use())
        stack.enter_context(explained(old.catalogue))
        source = stack.enter_context(exclusive(old.catalogue, old.database_key, busy_seconds))
        # What an earlier attempt left.
        finish_change(old)
        try:
            report = _write_anew(source, old, new, progress)
            reached("encryption.before_commit")
        except BaseException:
            finish_change(old)
            raise
        # Of an error in here only the files say whether it came before or after: the next one who opens the
        # store looks at them.
        _commit(old, new, secret)
        reached("encryption.committed")
        # Others wait for the catalogue; it has to be gone when they get it.
        finish_change(new)
    return report


def refuse_encrypted(paths: StorePaths) -> None:
    """Raises MemoryStoreError if a store is encrypted."""
    if paths.key.exists():
        raise MemoryStoreError(
            f"{paths.root}: is encrypted already; to change its key, give the old one, too"
        )


def _write_anew(
    source: sqlite3.Connection, old: StorePaths, new: StorePaths, progress: Progress
) -> EncryptionReport:
    segments, blobs = tables.segments(source), all_blobs(source)
    joint = tables.settings(source).get(_JOINT)
    total, done = sum(segment.bytes for segment in segments) + sum(blobs.values()), 0
    part = catalogue_part(new)
    # First of all: it says to others that what else is found is on its way.
    copy_database(source, part, new.database_key)
    rows = []
    for segment in segments:
        rows.append((segment.id, *_copy_segment(old, new, segment)))
        done += segment.bytes
        progress(done, total, "bytes")
    for name, size in blobs.items():
        problem = blob_problem(old, name, size)
        if problem:
            raise MemoryStoreError(f"{problem}; restore the store from a backup")
        _copy(old, old.blob(name), new, new.blob(name))
        done += size
        progress(done, total, "bytes")
    fresh = None
    if isinstance(joint, str):
        fresh = f"{secrets.token_hex(16)}.arrow"
        _copy(old, old.joint / joint, new, new.joint / fresh)
    _copy_store_key(old, new)
    if old.journal.exists():
        with exclusive(old.journal, old.database_key, 0.0) as journal:
            copy_database(journal, new.journal, new.database_key)
    with contextlib.closing(connect(part, 0.0, key=new.database_key)) as db:
        _rename(db, rows, fresh)
    for folder in (new.segments, new.blobs, new.root):
        sync_folder(folder)
    return EncryptionReport(new.cipher is not None, len(rows) + len(blobs), total)


def _copy_segment(old: StorePaths, new: StorePaths, segment: SegmentRow) -> tuple[str, int, int]:
    """Name, bytes and checksum of the copy."""
    path = old.segments / segment.name
    try:
        checksum = file_checksum(path)
    except OSError as error:
        raise MemoryStoreError(
            f"segment {path} cannot be read: {error.strerror}; verify the store"
        ) from error
    if checksum != segment.checksum:
        raise MemoryStoreError(f"segment {path} is damaged; restore the store from a backup")
    _, _, ending = segment.name.partition(".")
    target = new.segments / f"{secrets.token_hex(8)}.{ending}"
    _copy(old, path, new, target)
    return target.name, target.stat().st_size, file_checksum(target)


def _copy(old: StorePaths, source: Path, new: StorePaths, target: Path) -> None:
    try:
        with old.files.opened(source) as reading, new.files.publish(target) as writing:
            shutil.copyfileobj(reading, writing, _COPY_BYTES)
    except (OSError, OptimizationError) as error:
        raise MemoryStoreError(f"{source}: cannot be copied to {target.name}: {error}") from error
    reached("encryption.file_written")


def _copy_store_key(old: StorePaths, new: StorePaths) -> None:
    from arrowmind.privacy.store_key import store_key_path, write_store_key  # noqa: PLC0415

    # With it comes the package `cryptography`.
    path = store_key_path(old.privacy, old.cipher)
    if path.exists():
        write_store_key(store_key_path(new.privacy, new.cipher), old.files.read(path), new.cipher)


def _rename(db: sqlite3.Connection, rows: list[tuple[int, str, int, int]], joint: str | None) -> None:
    """Names the new files. The text index stays behind: it is derived, and its terms are words."""
    db.execute("BEGIN IMMEDIATE")
    for id_, name, size, checksum in rows:
        db.execute(
            "UPDATE segment SET name = ?, bytes = ?, checksum = ?, indexed = 0 WHERE id = ?",
            (name, size, checksum, id_),
        )
    tables.set_text_index(db, None)
    if joint is not None:
        tables.replace_setting(db, _JOINT, joint)
    tables.touch_layout(db)
    count_write(db)
    seal(db)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _commit(old: StorePaths, new: StorePaths, secret: Secret | None) -> None:
    if new.cipher is not None and secret is not None:
        from arrowmind.privacy.sealed.key_file import write_key  # noqa: PLC0415  with cryptography

        write_key(new.key, new.cipher.key, secret)
    else:
        old.key.rename(old.removed_key)
        sync_folder(old.root)
