"""The tables of the catalogue, and opening a connection to them."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from arrowmind.columnar import sync_folder
from arrowmind.errors import MemoryStoreError, StoreVersionError
from arrowmind.memory.steps import reached
from arrowmind.memory.storage.drivers import database_errors, open_database
from arrowmind.memory.times import now_microseconds
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "connect", "create_tables", "explained", "is_created"]

_log = get_logger(__name__)
SCHEMA_VERSION = 2
APPLICATION_ID = 0x41524D4D
"""Says in the head of the SQLite file that it is a catalogue of memories."""

# Tables of version 1, and what each later version changed: a new store takes all steps, an old one the rest.
_STEPS = (
    """
CREATE TABLE setting (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE pending (
    id INTEGER PRIMARY KEY, text BLOB NOT NULL, category INTEGER NOT NULL, metadata BLOB NOT NULL,
    timestamp INTEGER NOT NULL, expires INTEGER NOT NULL, windows INTEGER NOT NULL, vectors BLOB NOT NULL
);
CREATE TABLE segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, records INTEGER NOT NULL,
    vectors INTEGER NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL, indexed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE tombstone (id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, vectors INTEGER NOT NULL);
CREATE TABLE text_index (generation TEXT PRIMARY KEY, records INTEGER NOT NULL, terms INTEGER NOT NULL);
CREATE TABLE access (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, last INTEGER NOT NULL);
INSERT INTO counter VALUES ('next_id', 1), ('layout', 1), ('pending_vectors', 0);
""",
    """
CREATE TABLE space (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dimension INTEGER NOT NULL, encoder TEXT NOT NULL
);
CREATE TABLE namespace (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
INSERT INTO namespace VALUES (0, 'default');
ALTER TABLE pending ADD COLUMN namespace INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pending ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pending ADD COLUMN trust INTEGER NOT NULL DEFAULT 100;
ALTER TABLE pending ADD COLUMN presence INTEGER NOT NULL DEFAULT 1;
CREATE TABLE pending_space (
    id INTEGER NOT NULL, space INTEGER NOT NULL, windows INTEGER NOT NULL, vectors BLOB NOT NULL,
    PRIMARY KEY (space, id)
) WITHOUT ROWID;
CREATE TABLE attachment (
    id INTEGER NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL, sha256 BLOB NOT NULL,
    bytes INTEGER NOT NULL, media_type TEXT NOT NULL, PRIMARY KEY (id, position)
) WITHOUT ROWID;
CREATE INDEX attachment_blob ON attachment (sha256);
CREATE TABLE change (key TEXT PRIMARY KEY, run TEXT NOT NULL, made INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE derivation (
    id INTEGER PRIMARY KEY, change TEXT NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER NOT NULL,
    made_by TEXT NOT NULL
);
CREATE INDEX derivation_change ON derivation (change);
CREATE TABLE quote (
    id INTEGER NOT NULL, position INTEGER NOT NULL, source INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (id, position)
) WITHOUT ROWID;
CREATE INDEX quote_source ON quote (source);
CREATE TABLE closing (
    id INTEGER NOT NULL, change TEXT NOT NULL, previous INTEGER NOT NULL, replaced_by INTEGER NOT NULL,
    PRIMARY KEY (change, id)
) WITHOUT ROWID;
CREATE TABLE tier (id INTEGER PRIMARY KEY, tier INTEGER NOT NULL);
CREATE TABLE tier_move (
    id INTEGER NOT NULL, change TEXT NOT NULL, previous INTEGER NOT NULL, PRIMARY KEY (change, id)
) WITHOUT ROWID;
CREATE TABLE imported (
    source TEXT NOT NULL, old INTEGER NOT NULL, new INTEGER NOT NULL, PRIMARY KEY (source, old)
) WITHOUT ROWID;
CREATE TABLE released_blob (sha256 BLOB PRIMARY KEY) WITHOUT ROWID;
ALTER TABLE segment ADD COLUMN space INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tombstone RENAME TO tombstone1;
CREATE TABLE tombstone (
    id INTEGER NOT NULL, segment INTEGER NOT NULL, vectors INTEGER NOT NULL, PRIMARY KEY (id, segment)
) WITHOUT ROWID;
INSERT INTO tombstone SELECT id, segment, vectors FROM tombstone1;
DROP TABLE tombstone1;
UPDATE counter SET value = value + 1 WHERE name = 'layout';
""",
)


def connect(
    path: Path, busy_seconds: float, *, key: str | None = None, durable: bool = True, create: bool = False
) -> sqlite3.Connection:
    """A connection in autocommit mode; transactions are begun by hand.

    Nothing else may open the file: whenever a process closes any descriptor of a file, POSIX takes all of its
    locks on that file away, those of SQLite too. Another process may then delete the log under its feet.

    Args:
        path: the catalogue.
        busy_seconds: how long to wait for the lock of another writer.
        key: 64 hex digits if the database is encrypted.
        durable: a commit returns when it is on disk. False only for what may be lost.
        create: make the file where there is none. Off, a catalogue that vanished does not come back empty.
    """
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    db = open_database(uri, busy_seconds, key)
    try:
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA trusted_schema = OFF")
    except database_errors():
        db.close()
        raise
    return db


def is_created(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the tables of this version are there. The caller holds a transaction or the lock of the store.

    Raises:
        StoreVersionError: a newer version made them.
        MemoryStoreError: the file is no catalogue.
    """
    return _version(db, path) == SCHEMA_VERSION


def _version(db: sqlite3.Connection, path: Path) -> int:
    """Version of the tables; 0 where there are none."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID or version < 1:
        raise MemoryStoreError(f"{path}: is an SQLite database of something else; choose another folder")
    if version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{path}: the store has schema version {version}, this package reads up to {SCHEMA_VERSION}; "
            "upgrade arrowmind"
        )
    return version


def create_tables(path: Path, busy_seconds: float, key: str | None = None) -> None:
    """Makes the catalogue, durably, or brings one of an older version or a half-made one up to this version.

    The change of version is one transaction: it is made whole or not at all. The caller holds the lock of the
    store.
    """
    with contextlib.closing(connect(path, busy_seconds, key=key, create=True)) as db:
        version = _version(db, path)
        if version == SCHEMA_VERSION:
            return
        if version == 0:
            # Both need an empty database: pages can be given back, and readers do not wait for a writer.
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        for step in _STEPS[version:]:
            for statement in filter(str.strip, step.split(";")):
                db.execute(statement)
        if version == 0:
            made = [("store", secrets.token_hex(16)), ("created", now_microseconds())]
            db.executemany("INSERT INTO setting VALUES (?, ?)", made)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("DELETE FROM setting WHERE name IN ('seals', 'seal', 'seal_writes')")
        reached("schema.before_commit")
        db.execute("COMMIT")
    if version:
        _log.info("store_upgraded", catalogue=str(path), version=version, to=SCHEMA_VERSION)
    for folder in (path.parent, path.parent.parent):
        sync_folder(folder)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the errors of SQLite into ours, with what to do about them."""
    try:
        yield
    except database_errors() as error:
        raise MemoryStoreError(f"{path}: {_explain(error, path)}") from error


def _explain(error: Exception, path: Path) -> str:
    message = str(error)
    if "locked" in message or "busy" in message:
        return f"another process is writing and did not finish in time ({message}); try again"
    code = getattr(error, "sqlite_errorname", "")  # Python 3.10 has none.
    if code in ("SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ"):
        return f"cannot be read ({message}, {code}); restore the folder {path.parent} from a backup"
    if "full" in message or "disk I/O error" in message:
        return f"nothing more can be written ({message}); free some space: what is stored stays readable"
    if "malformed" in message or "not a database" in message:
        return f"is damaged ({message}); restore the folder {path.parent} from a backup"
    if "readonly" in message or "unable to open" in message:
        return f"cannot be opened for writing ({message}); is {path.parent} a folder you may write to?"
    return message
