"""Rows of the catalogue and the statements on its tables. Each works inside a transaction of the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.memory.storage.spaces import HOME
from arrowmind.memory.storage.traits import Traits

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from arrowmind.memory.storage.attachments import Attachment

__all__ = ["COLD_SUFFIX", "IndexRow", "NewRecord", "PendingRow", "SegmentRow", "SpaceVectors"]

COLD_SUFFIX = ".cold.arrow"
"""How the name of a segment ends that holds cold memories."""

_PENDING = "id, text, metadata, timestamp, expires, category, namespace, origin, trust, presence"


@dataclass(frozen=True)
class SpaceVectors:
    """Vectors of a memory in a space other than that of texts, packed (`pack_vectors`)."""

    space: int
    windows: int
    vectors: bytes


@dataclass(frozen=True)
class NewRecord:
    """A memory on its way into the store; moments in microseconds, `text` and `metadata` as UTF-8."""

    text: bytes
    traits: Traits
    metadata: bytes
    timestamp: int
    expires: int
    windows: int
    vectors: bytes
    others: tuple[SpaceVectors, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class PendingRow:
    """Vectors of a memory that waits in the catalogue, in one space; the text goes with those of texts."""

    id: int
    text: bytes
    traits: Traits
    metadata: bytes
    timestamp: int
    expires: int
    windows: int
    vectors: bytes


@dataclass(frozen=True)
class SegmentRow:
    """A segment file, as the catalogue names it; ``indexed`` is 0 or 1."""

    id: int
    name: str
    records: int
    vectors: int
    first_id: int
    last_id: int
    bytes: int
    checksum: int
    indexed: int
    space: int = HOME

    @property
    def is_cold(self) -> bool:
        """Whether it holds one-bit codes alone, and texts in compressed blocks."""
        return self.name.endswith(COLD_SUFFIX)


@dataclass(frozen=True)
class IndexRow:
    """The text index in use: its folder, the memories in it and the terms of those together."""

    generation: str
    records: int
    terms: int


def settings(db: sqlite3.Connection) -> dict[str, str | int]:
    """Facts fixed when the store was made, or when its first vector came."""
    return dict(db.execute("SELECT name, value FROM setting"))


def put_setting(db: sqlite3.Connection, name: str, value: str | int) -> None:
    """Records such a fact."""
    db.execute("INSERT INTO setting VALUES (?, ?)", (name, value))


def replace_setting(db: sqlite3.Connection, name: str, value: str | int) -> None:
    """Records a fact that may change."""
    db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))


def layout(db: sqlite3.Connection) -> int:
    """A number that changes whenever something other than a new pending row does."""
    return int(db.execute("SELECT value FROM counter WHERE name = 'layout'").fetchone()[0])


def touch_layout(db: sqlite3.Connection) -> None:
    """Tells all readers to read the tables again."""
    db.execute("UPDATE counter SET value = value + 1 WHERE name = 'layout'")


def take_ids(db: sqlite3.Connection, count: int) -> range:
    """Reserves ids for good."""
    first = int(db.execute("SELECT value FROM counter WHERE name = 'next_id'").fetchone()[0])
    db.execute("UPDATE counter SET value = ? WHERE name = 'next_id'", (first + count,))
    return range(first, first + count)


def category_id(db: sqlite3.Connection, name: str) -> int:
    """Number of a category, made if new."""
    db.execute("INSERT INTO category (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    return int(db.execute("SELECT id FROM category WHERE name = ?", (name,)).fetchone()[0])


def category_ids(db: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """Numbers of categories by their name."""
    return {name: category_id(db, name) for name in sorted(names)}


def categories(db: sqlite3.Connection) -> dict[int, str]:
    """Names of categories by their number."""
    return dict(db.execute("SELECT id, name FROM category"))


def namespace_id(db: sqlite3.Connection, name: str) -> int:
    """Number of a namespace, made if new."""
    db.execute("INSERT INTO namespace (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    return int(db.execute("SELECT id FROM namespace WHERE name = ?", (name,)).fetchone()[0])


def namespace_ids(db: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """Numbers of namespaces by their name."""
    return {name: namespace_id(db, name) for name in sorted(names)}


def namespaces(db: sqlite3.Connection) -> dict[int, str]:
    """Names of namespaces by their number."""
    return dict(db.execute("SELECT id, name FROM namespace"))


def insert_pending(db: sqlite3.Connection, ids: Iterable[int], records: Sequence[NewRecord]) -> None:
    """Adds rows that wait for a segment."""
    numbered = list(zip(ids, records, strict=True))
    db.executemany(
        f"INSERT INTO pending ({_PENDING}, windows, vectors) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (id_, r.text, r.metadata, r.timestamp, r.expires, *r.traits.numbers, r.windows, r.vectors)
            for id_, r in numbered
        ),
    )
    db.executemany(
        "INSERT INTO pending_space VALUES (?, ?, ?, ?)",
        ((id_, v.space, v.windows, v.vectors) for id_, r in numbered for v in r.others),
    )
    _count_pending(db, sum(record.windows for record in records))


def _count_pending(db: sqlite3.Connection, change: int) -> None:
    db.execute("UPDATE counter SET value = value + ? WHERE name = 'pending_vectors'", (change,))


def pending_after(db: sqlite3.Connection, last_id: int) -> list[PendingRow]:
    """Waiting rows with a higher id, in order."""
    rows = db.execute(
        f"SELECT {_PENDING}, windows, vectors FROM pending WHERE id > ? ORDER BY id", (last_id,)
    )
    return [_pending_row(row) for row in rows]


def pending_ids(db: sqlite3.Connection, last_id: int) -> list[int]:
    """Ids of waiting rows up to this one, in order."""
    return [int(id_) for (id_,) in db.execute("SELECT id FROM pending WHERE id <= ? ORDER BY id", (last_id,))]


def pending_in_space(db: sqlite3.Connection, space: int, last_id: int) -> list[PendingRow]:
    """The same in another space than that of texts; without texts and metadata."""
    rows = db.execute(
        "SELECT id, x'', x'', timestamp, expires, category, namespace, origin, trust, presence, s.windows, "
        "s.vectors FROM pending_space s JOIN pending USING (id) WHERE s.space = ? AND id > ? ORDER BY id",
        (space, last_id),
    )
    return [_pending_row(row) for row in rows]


def _pending_row(row: tuple[Any, ...]) -> PendingRow:
    id_, text, metadata, timestamp, expires, *traits, windows, vectors = row
    return PendingRow(id_, text, Traits(*traits), metadata, timestamp, expires, windows, vectors)


def pending_vectors(db: sqlite3.Connection) -> int:
    """Vectors of all waiting rows."""
    return int(db.execute("SELECT value FROM counter WHERE name = 'pending_vectors'").fetchone()[0])


def last_pending(db: sqlite3.Connection) -> int:
    """Highest waiting id, 0 when none waits."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM pending").fetchone()[0])


def delete_pending(db: sqlite3.Connection, ids: Iterable[int]) -> list[int]:
    """Removes waiting rows; returns the ids that were there."""
    removed, vectors = [], 0
    for id_ in ids:
        row = db.execute("SELECT windows FROM pending WHERE id = ?", (id_,)).fetchone()
        if row:
            db.execute("DELETE FROM pending WHERE id = ?", (id_,))
            db.execute("DELETE FROM pending_space WHERE id = ?", (id_,))
            removed.append(id_)
            vectors += int(row[0])
    _count_pending(db, -vectors)
    return removed


def expired_pending(db: sqlite3.Connection, now: int) -> list[int]:
    """Ids of waiting rows that expired by then."""
    rows = db.execute("SELECT id FROM pending WHERE expires != 0 AND expires <= ?", (now,))
    return [int(row[0]) for row in rows]


def segments(db: sqlite3.Connection) -> list[SegmentRow]:
    """All segments, oldest first."""
    rows = db.execute(
        "SELECT id, name, records, vectors, first_id, last_id, bytes, checksum, indexed, "
        "space FROM segment ORDER BY id"
    )
    return [SegmentRow(*row) for row in rows]


def insert_segment(db: sqlite3.Connection, row: SegmentRow) -> int:
    """Names a segment file; returns its id (``row.id`` is not used)."""
    cursor = db.execute(
        "INSERT INTO segment (name, records, vectors, first_id, last_id, bytes, checksum, indexed, "
        "space) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.name, row.records, row.vectors, row.first_id, row.last_id),
            *(row.bytes, row.checksum, row.indexed, row.space),
        ),
    )
    return int(cursor.lastrowid or 0)


def delete_segments(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Takes segments out of the store; their files can be removed after the commit."""
    db.executemany("DELETE FROM segment WHERE id = ?", ((id_,) for id_ in ids))


def mark_indexed(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Notes that the text index holds all memories of these segments."""
    db.executemany("UPDATE segment SET indexed = 1 WHERE id = ?", ((id_,) for id_ in ids))


def insert_tombstones(db: sqlite3.Connection, rows: Iterable[tuple[int, int, int]]) -> None:
    """Forgets memories in segments that hold their vectors; each row is (id, segment, vectors)."""
    db.executemany("INSERT INTO tombstone VALUES (?, ?, ?) ON CONFLICT DO NOTHING", rows)


def tombstones_in(db: sqlite3.Connection, segment: int) -> list[int]:
    """Forgotten memories of which bytes lie in a segment."""
    return [id_ for (id_,) in db.execute("SELECT id FROM tombstone WHERE segment = ?", (segment,))]


def move_tombstone(db: sqlite3.Connection, id_: int, old: int, new: int) -> None:
    """Notes that what is forgotten of one memory lies in another segment."""
    db.execute("UPDATE tombstone SET segment = ? WHERE segment = ? AND id = ?", (new, old, id_))


def delete_tombstones(db: sqlite3.Connection, ids: Iterable[int], segments: Iterable[int]) -> None:
    """Drops the marks of memories whose bytes are gone from these segments."""
    segments = list(segments)
    pairs = ((id_, segment) for id_ in ids for segment in segments)
    db.executemany("DELETE FROM tombstone WHERE id = ? AND segment = ?", pairs)


def tombstones(db: sqlite3.Connection) -> list[tuple[int, int]]:
    """(id, segment) of forgotten memories that still lie in segments, by id; one for each of its segments."""
    return db.execute("SELECT id, segment FROM tombstone ORDER BY id").fetchall()


def text_index(db: sqlite3.Connection) -> IndexRow | None:
    """The text index in use."""
    row = db.execute("SELECT generation, records, terms FROM text_index").fetchone()
    return IndexRow(*row) if row else None


def set_text_index(db: sqlite3.Connection, row: IndexRow | None) -> None:
    """Puts another text index, or none, in use."""
    db.execute("DELETE FROM text_index")
    if row is None:
        db.execute("UPDATE segment SET indexed = 0")
    else:
        db.execute("INSERT INTO text_index VALUES (?, ?, ?)", (row.generation, row.records, row.terms))


def add_accesses(db: sqlite3.Connection, counts: dict[int, tuple[int, int]]) -> None:
    """Adds (count, last access) to the counters of memories."""
    db.executemany(
        "INSERT INTO access VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "count = count + excluded.count, last = max(last, excluded.last)",
        ((id_, count, last) for id_, (count, last) in counts.items()),
    )


def access_of(db: sqlite3.Connection, id_: int) -> tuple[int, int]:
    """(count, last access) of a memory."""
    row = db.execute("SELECT count, last FROM access WHERE id = ?", (id_,)).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def delete_accesses(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Drops the counters of forgotten memories."""
    db.executemany("DELETE FROM access WHERE id = ?", ((id_,) for id_ in ids))
