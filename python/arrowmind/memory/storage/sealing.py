"""A digest of all that the catalogue says, so that a flipped bit in it does not pass for what was written.

SQLite has checksums for its log, not for its file. Every transaction counts; who closes a store notes a
digest of all rows beside the count. While the count is the same, the rows must still give the digest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3

__all__ = ["count_write", "seal", "seal_problem"]

_log = get_logger(__name__)
_DIGEST, _COUNT, _WRITES = "seal", "seal_writes", "writes"
# Access counters are not durable, and the seal itself is written after it is made.
_LEFT_OUT = {"access"}
_MOST_ROWS = 500_000
"""Of more rows no digest is made when a store is closed: it would take seconds."""


def count_write(db: sqlite3.Connection) -> None:
    """Notes in a transaction that it changes the catalogue."""
    db.execute(
        "INSERT OR REPLACE INTO counter SELECT ?, coalesce(max(value), 0) + 1 FROM counter WHERE name = ?",
        (_WRITES, _WRITES),
    )


def _writes(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT value FROM counter WHERE name = ?", (_WRITES,)).fetchone()
    return int(row[0]) if row else 0


def seal(db: sqlite3.Connection) -> None:
    """Notes the digest of the present rows, unless it is noted already. The caller holds a transaction."""
    writes = _writes(db)
    sealed = db.execute("SELECT value FROM setting WHERE name = ?", (_COUNT,)).fetchone()
    if sealed == (writes,):
        return
    rows = _rows(db)
    if rows > _MOST_ROWS:
        _log.info("catalogue_not_sealed", rows=rows, most=_MOST_ROWS)
        return
    pairs = [(_DIGEST, _digest(db)), (_COUNT, writes)]
    db.executemany("INSERT OR REPLACE INTO setting VALUES (?, ?)", pairs)


def seal_problem(db: sqlite3.Connection) -> str:
    """What is wrong with the rows of a sealed catalogue; empty if nothing is, or it was changed since."""
    sealed = dict(db.execute("SELECT name, value FROM setting WHERE name IN (?, ?)", (_DIGEST, _COUNT)))
    if sealed.get(_COUNT) != _writes(db) or not sealed:
        return ""
    if sealed.get(_DIGEST) == _digest(db):
        return ""
    return "catalogue: its rows do not give the digest that was noted when it was closed"


def _tables(db: sqlite3.Connection) -> list[tuple[str, str]]:
    rows = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return [(name, sql) for name, sql in rows if name not in _LEFT_OUT and not name.startswith("sqlite_")]


def _rows(db: sqlite3.Connection) -> int:
    return sum(int(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name, _ in _tables(db))


def _digest(db: sqlite3.Connection) -> str:
    """SHA-256 over tables, their definitions and their rows in order."""
    digest = hashlib.sha256()
    for name, sql in _tables(db):
        digest.update(f"{name}\n{sql}\n".encode())
        where = f"WHERE name NOT IN ('{_DIGEST}', '{_COUNT}')" if name == "setting" else ""
        columns = len(db.execute(f"SELECT * FROM {name} LIMIT 0").description)
        order = ", ".join(str(column + 1) for column in range(columns))
        for row in db.execute(f"SELECT * FROM {name} {where} ORDER BY {order}"):
            digest.update(repr(row).encode())
    return digest.hexdigest()
