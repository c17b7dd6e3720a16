"""Copies of databases from one encryption to another, by SQLCipher, while nobody else has them open."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from arrowmind.columnar import sync_folder
from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage.drivers import database_errors, open_cipher, open_database, set_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["copy_database", "exclusive"]

_NUMBERS = ("user_version", "application_id")


@contextlib.contextmanager
def exclusive(path: Path, key: str | None, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection of SQLCipher to a database that no other connection has open, in any process.

    Yields:
        One that reads databases with and without encryption.

    Raises:
        MemoryStoreError: somebody has it open.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with contextlib.ExitStack() as stack:
        if key is None:
            # Locks of two copies of SQLite in one process do not see each other; this one asks its own.
            guard = stack.enter_context(contextlib.closing(open_database(uri, busy_seconds)))
            _take(guard, path)
        db = stack.enter_context(contextlib.closing(open_cipher(uri, busy_seconds)))
        if key is not None:
            set_key(db, key)
        _take(db, path)
        yield db


def _take(db: sqlite3.Connection, path: Path) -> None:
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # The lock stays when the transaction ends.
        db.execute("BEGIN IMMEDIATE")
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA temp_store = MEMORY")
    except database_errors() as error:
        if "locked" not in str(error) and "busy" not in str(error):
            raise
        raise MemoryStoreError(
            f"{path.parent}: somebody has the store open ({error}); close it there, then try again"
        ) from error


def copy_database(source: sqlite3.Connection, target: Path, key: str | None) -> None:
    """Makes a database with all that another holds, durably.

    Args:
        source: of `exclusive`.
        target: a file that is not there yet, or is a rest of an earlier attempt.
        key: 64 hex digits; None makes one that is not encrypted.
    """
    target.unlink(missing_ok=True)
    source.execute("ATTACH DATABASE ? AS copy KEY ?", (str(target), "" if key is None else f"x'{key}'"))
    try:
        vacuum = source.execute("PRAGMA main.auto_vacuum").fetchone()[0]
        source.execute(f"PRAGMA copy.auto_vacuum = {int(vacuum)}")
        source.execute("SELECT sqlcipher_export('copy')")
        for name in _NUMBERS:
            value = source.execute(f"PRAGMA main.{name}").fetchone()[0]
            source.execute(f"PRAGMA copy.{name} = {int(value)}")
        journal = source.execute("PRAGMA main.journal_mode").fetchone()[0]
        source.execute(f"PRAGMA copy.journal_mode = {journal}")
    finally:
        source.execute("DETACH DATABASE copy")
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(target.parent)
