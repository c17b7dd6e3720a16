"""A durable store of the interface, as small as can be: one SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import numpy as np
from tests.consolidate.samples import ENCODER, START

from arrowmind.consolidate import KnownFact, SourceMemory, Tier
from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage.paths import StorePaths

_TABLES = """
CREATE TABLE IF NOT EXISTS memory (
    id INTEGER PRIMARY KEY, text TEXT, timestamp INTEGER, access INTEGER, tier INTEGER, namespace TEXT,
    made_by TEXT, valid_from INTEGER, valid_to INTEGER, quotes TEXT, replaces TEXT
);
CREATE TABLE IF NOT EXISTS change (key TEXT PRIMARY KEY, made TEXT, tiers TEXT, closings TEXT);
"""


class FakeStore:
    """Vectors are made anew from texts each time."""

    identity = "fake"

    def __init__(self, folder, *, has_encoder=True):
        folder.mkdir(exist_ok=True)
        self.paths = StorePaths(folder)
        self.has_encoder = has_encoder
        self._db = sqlite3.connect(folder / "store.sqlite", isolation_level=None)
        self._db.executescript(_TABLES)
        self.commits = 0

    def close(self):
        self._db.close()

    def remember(self, text, *, access=5, timestamp=START, namespace="", made_by=None):
        row = (text, timestamp, access, namespace, made_by)
        return self._db.execute(
            "INSERT INTO memory (text, timestamp, access, tier, namespace, made_by, valid_to) "
            "VALUES (?, ?, ?, 0, ?, ?, 0)",
            row,
        ).lastrowid

    def forget(self, *ids):
        self._db.executemany("DELETE FROM memory WHERE id = ?", ((id_,) for id_ in ids))

    def state(self):
        """Everything, for comparison."""
        return self._db.execute("SELECT * FROM memory ORDER BY id").fetchall()

    def derived(self):
        return self._db.execute(
            "SELECT id, text, quotes, valid_from, valid_to, replaces FROM memory "
            "WHERE made_by IS NOT NULL ORDER BY id"
        ).fetchall()

    def tiers(self):
        return dict(self._db.execute("SELECT id, tier FROM memory WHERE made_by IS NULL"))

    def _sources(self, condition, *values):
        rows = self._db.execute(
            "SELECT id, text, timestamp, access, tier, namespace FROM memory "
            f"WHERE made_by IS NULL {condition}",
            values,
        ).fetchall()
        if not rows:
            return []
        vectors = ENCODER.encode([row[1] for row in rows])
        return [
            SourceMemory(id_, text, vector, moment, namespace, None, access, 0, Tier(tier))
            for vector, (id_, text, moment, access, tier, namespace) in zip(vectors, rows, strict=True)
        ]

    def candidates(self, wanted):
        used = {id_ for (tiers,) in self._db.execute("SELECT tiers FROM change") for id_ in json.loads(tiers)}
        found = self._sources(
            "AND access >= ? AND timestamp < ? AND tier < 2 ORDER BY access DESC, timestamp, id",
            wanted.min_access,
            wanted.before,
        )
        return [memory for memory in found if str(memory.id) not in used][: wanted.limit]

    def get(self, ids):
        return {memory.id: memory for memory in self._sources("") if memory.id in set(ids)}

    def nearest(self, vector, count):
        found = self._sources("")
        cosines = np.stack([memory.vector for memory in found]) @ vector
        best = np.argsort(-cosines, kind="stable")[:count]
        return [(found[i].id, float(cosines[i])) for i in best]

    def known_facts(self, vector, namespace, count):
        rows = self._db.execute(
            "SELECT id, text, valid_from FROM memory WHERE made_by IS NOT NULL AND valid_to = 0 "
            "AND namespace = ? LIMIT ?",
            (namespace, count),
        )
        return [KnownFact(*row) for row in rows]

    def embed(self, texts):
        return ENCODER.encode(list(texts)) if self.has_encoder else None

    @contextlib.contextmanager
    def _writing(self):
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def commit(self, change):
        self.commits += 1
        with self._writing() as db:
            known = db.execute("SELECT made FROM change WHERE key = ?", (change.key,)).fetchone()
            if known:
                return tuple(json.loads(known[0]))
            before = dict(db.execute("SELECT id, tier FROM memory WHERE made_by IS NULL"))
            if not set(change.tiers) <= set(before):
                raise MemoryStoreError("a source was forgotten")
            made = [self._insert(db, memory) for memory in change.derived]
            self._keep(db, change, made, {id_: before[id_] for id_ in change.tiers})
            return tuple(made)

    def _insert(self, db, memory):
        if memory.vector is None or not memory.quotes:
            raise MemoryStoreError(f"a derived memory without a vector or quotes: {memory.text!r}")
        return db.execute(
            "INSERT INTO memory (text, timestamp, access, tier, namespace, made_by, valid_from, valid_to, "
            "quotes, replaces) VALUES (?, ?, 0, 0, ?, ?, ?, ?, ?, ?)",
            (
                memory.text,
                memory.valid_from,
                memory.namespace,
                memory.made_by,
                memory.valid_from,
                memory.valid_to,
                json.dumps([[quote.source, quote.text] for quote in memory.quotes]),
                json.dumps([memory.replaces, memory.replaces_here]),
            ),
        ).lastrowid

    def _keep(self, db, change, made, tiers):
        ends = {
            id_: end for id_, end in db.execute("SELECT id, valid_to FROM memory") if id_ in change.closings
        }
        for id_, tier in change.tiers.items():
            db.execute("UPDATE memory SET tier = ? WHERE id = ?", (int(tier), id_))
        for id_, end in change.closings.items():
            db.execute("UPDATE memory SET valid_to = ? WHERE id = ?", (end, id_))
        row = (change.key, json.dumps(made), json.dumps(tiers), json.dumps(ends))
        db.execute("INSERT INTO change VALUES (?, ?, ?, ?)", row)

    def undo(self, keys):
        count = 0
        with self._writing() as db:
            for key in reversed(keys):
                row = db.execute("SELECT made, tiers, closings FROM change WHERE key = ?", (key,)).fetchone()
                if row is None:
                    continue
                made, tiers, ends = map(json.loads, row)
                db.executemany("DELETE FROM memory WHERE id = ?", ((id_,) for id_ in made))
                for id_, tier in tiers.items():
                    db.execute("UPDATE memory SET tier = ? WHERE id = ?", (tier, int(id_)))
                for id_, end in ends.items():
                    db.execute("UPDATE memory SET valid_to = ? WHERE id = ?", (end, int(id_)))
                db.execute("DELETE FROM change WHERE key = ?", (key,))
                count += 1
        return count

    def texts(self):
        return iter(self._sources("ORDER BY id"))

    def recalled_cold(self):
        return []

    def settle(self):
        pass

    def move(self, key, tiers):
        raise NotImplementedError
