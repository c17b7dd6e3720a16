"""Statements on the tables of derived memories, tiers and changes, inside a transaction of the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping

__all__ = [
    "ARCHIVED",
    "COLD",
    "EXTRACT",
    "HOT",
    "TIERS",
    "WARM",
    "Derivation",
    "Quote",
    "archived_ids",
    "close",
    "cold_ids",
    "delete_change",
    "delete_lifecycle",
    "derivation_of",
    "derived_by",
    "derived_from",
    "extracted_from",
    "has_change",
    "insert_change",
    "insert_derivation",
    "move_tiers",
    "open_facts",
    "recalled_cold",
    "restore_closings",
    "restore_tiers",
    "set_tier",
    "tier_of",
    "tiers",
]

TIERS = ("hot", "warm", "cold", "archived")
"""How close at hand a memory is kept, by number."""
EXTRACT = "extractive"
"""What made a derived memory that says nothing but quotes."""
HOT, WARM, COLD, ARCHIVED = range(4)


@dataclass(frozen=True)
class Quote:
    """Words of a memory, exactly as they stand in it.

    Attributes:
        source: id of the memory.
        text: the words.
    """

    source: int
    text: str


@dataclass(frozen=True)
class Derivation:
    """What a derived memory rests on.

    Attributes:
        change: key of the change that made it.
        quotes: its evidence.
        valid_from: since when it holds, microseconds, 0 if that is unknown.
        valid_to: until when, 0 while nothing contradicts it.
        made_by: what wrote it.
        replaced_by: ids of the derived memories that contradict it.
    """

    change: str
    quotes: tuple[Quote, ...]
    valid_from: int
    valid_to: int
    made_by: str
    replaced_by: tuple[int, ...] = ()


def has_change(db: sqlite3.Connection, key: str) -> bool:
    """Whether a change has been made."""
    return db.execute("SELECT 1 FROM change WHERE key = ?", (key,)).fetchone() is not None


def insert_change(db: sqlite3.Connection, key: str, run: str, now: int) -> None:
    """Notes a change."""
    db.execute("INSERT INTO change VALUES (?, ?, ?)", (key, run, now))


def delete_change(db: sqlite3.Connection, key: str) -> bool:
    """Drops a change; tells whether it was there."""
    return db.execute("DELETE FROM change WHERE key = ?", (key,)).rowcount > 0


def insert_derivation(db: sqlite3.Connection, id_: int, derivation: Derivation) -> None:
    """Notes what a derived memory rests on."""
    db.execute(
        "INSERT INTO derivation VALUES (?, ?, ?, ?, ?)",
        (id_, derivation.change, derivation.valid_from, derivation.valid_to, derivation.made_by),
    )
    db.executemany(
        "INSERT INTO quote VALUES (?, ?, ?, ?)",
        ((id_, place, quote.source, quote.text) for place, quote in enumerate(derivation.quotes)),
    )


def derivation_of(db: sqlite3.Connection, id_: int) -> Derivation | None:
    """What a memory rests on; None if it is not derived."""
    row = db.execute(
        "SELECT change, valid_from, valid_to, made_by FROM derivation WHERE id = ?", (id_,)
    ).fetchone()
    if row is None:
        return None
    quotes = db.execute("SELECT source, text FROM quote WHERE id = ? ORDER BY position", (id_,))
    replaced = db.execute("SELECT replaced_by FROM closing WHERE id = ? ORDER BY replaced_by", (id_,))
    change, begin, end, made_by = row
    return Derivation(
        change, tuple(Quote(*quote) for quote in quotes), begin, end, made_by, tuple(n for (n,) in replaced)
    )


def extracted_from(db: sqlite3.Connection, ids: Iterable[int]) -> dict[int, set[int]]:
    """What those of some memories quote that say nothing but quotes."""
    statement = "SELECT source FROM quote JOIN derivation USING (id) WHERE id = ? AND made_by = ?"
    found = ((id_, {source for (source,) in db.execute(statement, (id_, EXTRACT))}) for id_ in ids)
    return {id_: sources for id_, sources in found if sources}


def derived_by(db: sqlite3.Connection, key: str) -> list[int]:
    """Memories that a change derived."""
    return [id_ for (id_,) in db.execute("SELECT id FROM derivation WHERE change = ? ORDER BY id", (key,))]


def derived_from(db: sqlite3.Connection, ids: Iterable[int]) -> list[int]:
    """Memories that rest on any of these, also by way of others."""
    found: dict[int, None] = {}
    waiting = list(ids)
    while waiting:
        rows = db.execute("SELECT DISTINCT id FROM quote WHERE source = ?", (waiting.pop(),))
        new = [id_ for (id_,) in rows if id_ not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return list(found)


def open_facts(db: sqlite3.Connection, ids: Iterable[int]) -> dict[int, int]:
    """Since when those of the memories hold that are derived and whose validity has no end."""
    statement = "SELECT valid_from FROM derivation WHERE id = ? AND valid_to = 0"
    rows = ((id_, db.execute(statement, (id_,)).fetchone()) for id_ in ids)
    return {id_: int(row[0]) for id_, row in rows if row}


def close(db: sqlite3.Connection, key: str, id_: int, moment: int, replaced_by: int) -> None:
    """Ends the validity of a derived memory; does nothing with others."""
    row = db.execute("SELECT valid_to FROM derivation WHERE id = ?", (id_,)).fetchone()
    if row:
        statement = "INSERT INTO closing VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        db.execute(statement, (id_, key, row[0], replaced_by))
        db.execute("UPDATE derivation SET valid_to = ? WHERE id = ?", (moment, id_))


def restore_closings(db: sqlite3.Connection, key: str) -> None:
    """Undoes `close` for a change."""
    rows = db.execute("SELECT previous, id FROM closing WHERE change = ?", (key,)).fetchall()
    db.executemany("UPDATE derivation SET valid_to = ? WHERE id = ?", rows)
    db.execute("DELETE FROM closing WHERE change = ?", (key,))


def tier_of(db: sqlite3.Connection, id_: int) -> int:
    """Where a memory is kept."""
    row = db.execute("SELECT tier FROM tier WHERE id = ?", (id_,)).fetchone()
    return int(row[0]) if row else HOT


def tiers(db: sqlite3.Connection) -> dict[int, int]:
    """Tiers of all memories that are not hot."""
    return dict(db.execute("SELECT id, tier FROM tier"))


def archived_ids(db: sqlite3.Connection) -> list[int]:
    """Memories that a search leaves out."""
    return [id_ for (id_,) in db.execute("SELECT id FROM tier WHERE tier = ? ORDER BY id", (ARCHIVED,))]


def cold_ids(db: sqlite3.Connection) -> list[int]:
    """Memories that are kept cold or archived."""
    return [id_ for (id_,) in db.execute("SELECT id FROM tier WHERE tier >= ? ORDER BY id", (COLD,))]


def recalled_cold(db: sqlite3.Connection) -> list[int]:
    """Cold memories that were recalled since they were moved last."""
    rows = db.execute(
        "SELECT id FROM tier JOIN access USING (id) LEFT JOIN ("
        "SELECT tier_move.id, max(made) AS moved FROM tier_move JOIN change ON change = key "
        "GROUP BY tier_move.id) USING (id) WHERE tier = ? AND last > coalesce(moved, 0) ORDER BY id",
        (COLD,),
    )
    return [id_ for (id_,) in rows]


def move_tiers(db: sqlite3.Connection, key: str, wanted: Mapping[int, int]) -> None:
    """Keeps memories elsewhere, and notes for a change where they were."""
    for id_, tier in wanted.items():
        statement = "INSERT INTO tier_move VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        db.execute(statement, (id_, key, tier_of(db, id_)))
        set_tier(db, id_, tier)


def restore_tiers(db: sqlite3.Connection, key: str) -> None:
    """Undoes `move_tiers` for a change."""
    rows = db.execute("SELECT id, previous FROM tier_move WHERE change = ?", (key,)).fetchall()
    for id_, tier in rows:
        set_tier(db, id_, tier)
    db.execute("DELETE FROM tier_move WHERE change = ?", (key,))


def set_tier(db: sqlite3.Connection, id_: int, tier: int) -> None:
    """Keeps a memory elsewhere."""
    db.execute("DELETE FROM tier WHERE id = ?", (id_,))
    if tier != HOT:
        db.execute("INSERT INTO tier VALUES (?, ?)", (id_, tier))


def delete_lifecycle(db: sqlite3.Connection, ids: Collection[int]) -> None:
    """Drops all that is noted here of forgotten memories; what they contradicted holds again."""
    for id_ in ids:
        rows = db.execute("SELECT previous, id FROM closing WHERE replaced_by = ?", (id_,)).fetchall()
        db.executemany("UPDATE derivation SET valid_to = ? WHERE id = ?", rows)
        db.execute("DELETE FROM closing WHERE replaced_by = ?", (id_,))
    for table in ("derivation", "quote", "closing", "tier", "tier_move"):
        db.executemany(f"DELETE FROM {table} WHERE id = ?", ((id_,) for id_ in ids))
