"""How far each group of memories has come, durably: planned, generated, written, visible.

An SQLite file of its own beside the catalogue. Its writes are many, and the catalogue has one writer at a
time, for which every `remember` waits; and a store without consolidation has no trace of it. The two files
cannot be committed together, and need not be: the store knows each change by its key, so a change that is
visible there and only `written` here is committed again and changes nothing.

Texts stay in the journal only between `generated` and `visible`; forgetting a memory takes them out before.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.errors import ConsolidationError
from arrowmind.memory.keeping.derivation_journal import delete_tasks
from arrowmind.memory.storage.schema import connect, explained

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

__all__ = ["Journal", "RunRow", "TaskRow"]

_VERSION = 1
_BUSY_SECONDS = 10.0
_TABLES = """
CREATE TABLE run (
    id TEXT PRIMARY KEY, started REAL NOT NULL, ended REAL, made_by TEXT NOT NULL,
    tokens_in INTEGER NOT NULL DEFAULT 0, tokens_out INTEGER NOT NULL DEFAULT 0,
    stopped TEXT NOT NULL DEFAULT ''
);
CREATE TABLE task (
    key TEXT PRIMARY KEY, run TEXT NOT NULL, state TEXT NOT NULL, payload TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', changed REAL NOT NULL
);
CREATE INDEX task_state ON task (state);
CREATE INDEX task_run ON task (run);
CREATE TABLE task_source (id INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (id, key)) WITHOUT ROWID;
CREATE INDEX task_source_key ON task_source (key);
"""
_OPEN = ("planned", "generated", "written")


@dataclass(frozen=True)
class TaskRow:
    """One group of memories.

    Attributes:
        key: hash of its memories.
        run: the run that works on it.
        state: `planned`, `generated`, `written`, `visible`; `empty` when nothing came of it, `undone`.
        payload: the change as JSON, between `generated` and `visible`.
        sources: ids of the memories.
        attempts: answers of models that could not be used.
        error: of the last failure.
    """

    key: str
    run: str
    state: str
    payload: str | None
    sources: tuple[int, ...]
    attempts: int
    error: str


@dataclass(frozen=True)
class RunRow:
    """One run: when, by what, what it spent and why it stopped; times are seconds since 1970."""

    id: str
    started: float
    ended: float | None
    made_by: str
    tokens_in: int
    tokens_out: int
    stopped: str


class Journal:
    """The journal of one store. One consolidator at a time writes; anyone may read or `forget`."""

    def __init__(self, path: Path, key: str | None = None) -> None:
        """Opens or makes it; of an encrypted store with its key."""
        self._path = path
        with explained(path):
            self._db = connect(path, _BUSY_SECONDS, key=key, create=True)
            try:
                self._make()
            except BaseException:
                self._db.close()
                raise

    def _make(self) -> None:
        with self._writing():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise ConsolidationError(
                    f"{self._path}: has version {version}, this package reads {_VERSION}; upgrade arrowmind"
                )
            if version == _VERSION:
                return
            for statement in filter(str.strip, _TABLES.split(";")):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with explained(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Runs.

    def begin_run(self, id_: str, made_by: str) -> None:
        """Notes that a run has begun."""
        with self._writing() as db:
            db.execute("INSERT INTO run (id, started, made_by) VALUES (?, ?, ?)", (id_, time.time(), made_by))

    def end_run(self, id_: str, tokens_in: int, tokens_out: int, stopped: str) -> None:
        """Notes what it spent and why it stopped before its end, if it did."""
        with self._writing() as db:
            db.execute(
                "UPDATE run SET ended = ?, tokens_in = ?, tokens_out = ?, stopped = ? WHERE id = ?",
                (time.time(), tokens_in, tokens_out, stopped, id_),
            )

    def runs(self) -> list[RunRow]:
        """All runs, the latest first."""
        rows = self._db.execute(
            "SELECT id, started, ended, made_by, tokens_in, tokens_out, stopped FROM run "
            "ORDER BY started DESC, rowid DESC"
        )
        return [RunRow(*row) for row in rows]

    # Tasks.

    def plan(self, run: str, groups: Sequence[tuple[str, Sequence[int]]]) -> None:
        """Adds tasks; one that is known already stays as it is."""
        with self._writing() as db:
            for key, ids in groups:
                added = db.execute(
                    "INSERT INTO task (key, run, state, changed) VALUES (?, ?, 'planned', ?) "
                    "ON CONFLICT DO NOTHING",
                    (key, run, time.time()),
                )
                if added.rowcount:
                    db.executemany("INSERT INTO task_source VALUES (?, ?)", ((id_, key) for id_ in ids))

    def taken(self) -> set[int]:
        """Sources of tasks that are on their way or were taken back: no new group has them."""
        rows = self._db.execute(
            "SELECT DISTINCT id FROM task_source JOIN task USING (key) "
            f"WHERE state = 'undone' OR state IN {_OPEN}"
        )
        return {int(row[0]) for row in rows}

    def find(self, key: str) -> TaskRow | None:
        """The task of this key."""
        found = self._tasks("WHERE key = ?", (key,))
        return found[0] if found else None

    def unfinished(self) -> list[TaskRow]:
        """Tasks on their way, those furthest first."""
        order = "CASE state WHEN 'written' THEN 0 WHEN 'generated' THEN 1 ELSE 2 END"
        return self._tasks(f"WHERE state IN {_OPEN} ORDER BY {order}, rowid", ())

    def advance(self, key: str, run: str, state: str, payload: str | None = None) -> bool:
        """Moves a task on; with `visible` and `empty` its payload goes.

        Returns:
            False if it was taken out meanwhile, since one of its sources was forgotten.
        """
        with self._writing() as db:
            changed = db.execute(
                "UPDATE task SET state = ?, payload = ?, run = ?, changed = ? WHERE key = ?",
                (state, payload, run, time.time(), key),
            )
        return changed.rowcount > 0

    def fail(self, key: str, error: str, *, counts: bool) -> None:
        """Notes an attempt that failed, and counts it if told to; the task stays where it is."""
        with self._writing() as db:
            db.execute(
                "UPDATE task SET attempts = attempts + ?, error = ?, changed = ? WHERE key = ?",
                (int(counts), error[:1_000], time.time(), key),
            )

    def drop(self, keys: Collection[str]) -> None:
        """Takes tasks out, and every byte of them."""
        with self._writing() as db:
            delete_tasks(db, keys)

    def visible(self, run: str) -> list[str]:
        """Keys of what a run made visible, in order."""
        rows = self._db.execute(
            "SELECT key FROM task WHERE run = ? AND state = 'visible' ORDER BY rowid", (run,)
        )
        return [str(row[0]) for row in rows]

    def mark_undone(self, keys: Collection[str]) -> None:
        """Notes that changes were taken back: they are not made again by themselves."""
        with self._writing() as db:
            db.executemany(
                "UPDATE task SET state = 'undone', payload = NULL WHERE key = ?", ((key,) for key in keys)
            )

    def _tasks(self, condition: str, values: tuple[object, ...]) -> list[TaskRow]:
        rows = self._db.execute(
            f"SELECT key, run, state, payload, attempts, error FROM task {condition}", values
        ).fetchall()
        found = []
        for key, run, state, payload, attempts, error in rows:
            ids = self._db.execute("SELECT id FROM task_source WHERE key = ? ORDER BY id", (key,))
            sources = tuple(int(row[0]) for row in ids)
            found.append(TaskRow(key, run, state, payload, sources, attempts, error))
        return found
