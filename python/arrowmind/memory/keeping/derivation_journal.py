"""Erases forgotten memories from the journal of consolidation, which holds what is not visible yet.

The journal is a file of its own, written by `arrowmind.consolidate.journal`; a store without one was never
consolidated.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from arrowmind.memory.storage.schema import connect, explained

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from arrowmind.memory.storage.paths import StorePaths

__all__ = ["delete_tasks", "forget_in_journal"]

_BUSY_SECONDS = 10.0


def forget_in_journal(paths: StorePaths, ids: Collection[int]) -> int:
    """Takes out what is in the making of any of these memories; returns how many groups that were.

    Raises:
        MemoryStoreError: the journal is damaged, or another process holds it for too long.
    """
    path = paths.journal
    if not ids or not path.exists():
        return 0
    with explained(path), contextlib.closing(connect(path, _BUSY_SECONDS, key=paths.database_key)) as db:
        # A process that died before it had made the tables left no task either.
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'task_source'").fetchone():
            return 0
        db.execute("BEGIN IMMEDIATE")
        keys = {
            str(row[0])
            for id_ in ids
            for row in db.execute("SELECT key FROM task_source WHERE id = ?", (id_,))
        }
        delete_tasks(db, keys)
        db.execute("COMMIT")
    return len(keys)


def delete_tasks(db: sqlite3.Connection, keys: Collection[str]) -> None:
    """Removes tasks and every byte of them, in a transaction of the caller."""
    for key in keys:
        db.execute("DELETE FROM task_source WHERE key = ?", (key,))
        db.execute("DELETE FROM task WHERE key = ?", (key,))
