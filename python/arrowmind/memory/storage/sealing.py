"""Digests of all that the catalogue says, so that a flipped bit in it does not pass for what was written.

SQLite has checksums for its log, not for its file. Every transaction counts; who closes a store notes a
digest of each table beside the count. While the count is the same, the rows must still give the digests.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3

__all__ = ["count_write", "seal", "seal_problems"]

_log = get_logger(__name__)
_SEALS, _WRITES = "seals", "writes"
# Access counters are not durable.
_LEFT_OUT = {"access"}
_MOST_ROWS = 500_000
"""Of so many rows digests are made when a store is closed, smallest tables first: more would take seconds."""


def count_write(db: sqlite3.Connection) -> None:
    """Notes in a transaction that it changes the catalogue."""
    db.execute(
        "INSERT OR REPLACE INTO counter SELECT ?, coalesce(max(value), 0) + 1 FROM counter WHERE name = ?",
        (_WRITES, _WRITES),
    )


def _writes(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT value FROM counter WHERE name = ?", (_WRITES,)).fetchone()
    return int(row[0]) if row else 0


def seal(db: sqlite3.Connection, *, whole: bool = False) -> None:
    """Notes the digests of the present rows, unless it is done already. The caller holds a transaction.

    Args:
        db: a connection.
        whole: also of tables that are so large that it takes seconds.
    """
    writes, known = _writes(db), None
    with contextlib.suppress(ValueError, TypeError):
        known = _noted(db)
    if known is not None and known[0] == writes and (not whole or len(known[1]) == len(_tables(db))):
        return
    counted = sorted((count, name, sql) for name, sql, count in _counted(db))
    digests, rows = {}, 0
    for count, name, sql in counted:
        rows += count
        if whole or rows <= _MOST_ROWS:
            digests[name] = _digest(db, name, sql)
    if len(digests) < len(counted):
        left = [name for _, name, _ in counted if name not in digests]
        _log.info("tables_not_sealed", tables=left, rows=rows, most=_MOST_ROWS)
    # One digest for all tables is what earlier versions noted: theirs would hold no more.
    db.execute("DELETE FROM setting WHERE name IN ('seal', 'seal_writes')")
    noted = json.dumps([writes, digests], sort_keys=True)
    db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (_SEALS, noted))


def seal_problems(db: sqlite3.Connection) -> list[str]:
    """What is wrong with the rows of a sealed catalogue; nothing is where it was changed since."""
    try:
        known = _noted(db)
    except (ValueError, TypeError) as error:
        return [f"catalogue: the digests of its tables cannot be read ({error})"]
    if known is None or known[0] != _writes(db):
        return []
    present = dict(_tables(db))
    problems = [f"catalogue: table {name!r} is gone" for name in known[1] if name not in present]
    return problems + [
        f"catalogue: rows of {name!r} do not give the digest that was noted when it was closed"
        for name, digest in known[1].items()
        if name in present and _digest(db, name, present[name]) != digest
    ]


def _noted(db: sqlite3.Connection) -> tuple[int, dict[str, str]] | None:
    """Number of the transaction that was the last when digests were noted, and the digest of each table."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", (_SEALS,)).fetchone()
    if row is None:
        return None
    writes, digests = json.loads(row[0])
    return int(writes), dict(digests)


def _tables(db: sqlite3.Connection) -> list[tuple[str, str]]:
    rows = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return [(name, sql) for name, sql in rows if name not in _LEFT_OUT and not name.startswith("sqlite_")]


def _counted(db: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Name, definition and rows of each table."""
    return [
        (name, sql, int(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]))
        for name, sql in _tables(db)
    ]


def _digest(db: sqlite3.Connection, name: str, sql: str) -> str:
    """SHA-256 over the definition of a table and its rows in order."""
    digest = hashlib.sha256(f"{name}\n{sql}\n".encode())
    where = f"WHERE name NOT IN ('{_SEALS}', 'seal', 'seal_writes')" if name == "setting" else ""
    columns = len(db.execute(f"SELECT * FROM {name} LIMIT 0").description)
    order = ", ".join(str(column + 1) for column in range(columns))
    for row in db.execute(f"SELECT * FROM {name} {where} ORDER BY {order}"):
        digest.update(repr(row).encode())
    return digest.hexdigest()
