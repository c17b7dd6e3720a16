"""The association graph: which memories belong together, as sparse rows in the catalogue.

One row per memory holds its neighbours, packed, the strongest 24 of them: who belongs with everything belongs
with nothing in particular. A row is read by its key, so a walk costs what it touches however large the store
is; the log of SQLite is the append log. Links are derived: without them recall lacks one signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.memories import Edges

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    Weights = dict[tuple[int, int], float]

__all__ = [
    "KINDS",
    "Link",
    "add_links",
    "delete_links",
    "linked_to",
    "links_of",
    "read_links",
    "set_linked_to",
]

KINDS = ("similar", "terms", "recalled")
"""Why two memories belong together: they mean much the same, share rare words, or were recalled together."""

_MOST = 24
_HALF_LIFE_DAYS = 30.0
_RECALLED = KINDS.index("recalled")
# A sum of recalls beyond this says no more.
_STRONGEST = 4.0
_DAY = 86_400_000_000
_ROW = np.dtype([("id", "<i8"), ("kind", "u1"), ("weight", "<f2"), ("day", "<u2")])
_COUNTER = "linked_to"
# SQLite takes so many values in one statement, whatever way it was built.
_BATCH = 500


@dataclass(frozen=True)
class Link:
    """Another memory that belongs with one.

    Attributes:
        id: of the other memory.
        kind: of `KINDS`.
        weight: how much, above 0; that of ``recalled`` halves in 30 days.
    """

    id: int
    kind: str
    weight: float


def read_links(db: sqlite3.Connection, ids: Sequence[int], now: int) -> Edges:
    """Links of some memories, those of all kinds.

    Args:
        db: a connection.
        ids: of the memories.
        now: microseconds since 1970; recalls fade.
    """
    packed = _packed_rows(db, ids)
    joined = np.frombuffer(b"".join(packed.values()), dtype=_ROW)
    counts = [len(row) // _ROW.itemsize for row in packed.values()]
    sources = np.repeat(np.array(list(packed), dtype=np.int64), counts)
    weights = _faded(joined, now)
    return Edges(sources, joined["id"].astype(np.int64), weights).chosen(weights > 0)


def links_of(db: sqlite3.Connection, id_: int, now: int) -> list[Link]:
    """Neighbours of one memory, the strongest first."""
    row = _rows(db, [id_]).get(id_)
    if row is None:
        return []
    weights = _faded(row, now).tolist()
    kinds = (KINDS[kind] for kind in row["kind"].tolist())
    links = map(Link, row["id"].tolist(), kinds, weights)
    return sorted(links, key=lambda link: (-link.weight, link.id, link.kind))


def add_links(db: sqlite3.Connection, pairs: Iterable[tuple[int, int, str, float]], now: int) -> None:
    """Links pairs of memories both ways, in a transaction of the caller.

    Args:
        db: a connection.
        pairs: (id, id, kind, weight above 0). Of one kind the greater weight stays; recalls add up.
        now: microseconds since 1970.
    """
    new: dict[int, list[tuple[int, int, float]]] = {}
    for one, other, kind, weight in pairs:
        if one != other and weight > 0:
            for source, target in ((one, other), (other, one)):
                new.setdefault(source, []).append((target, KINDS.index(kind), weight))
    db.execute("CREATE TABLE IF NOT EXISTS link (id INTEGER PRIMARY KEY, targets BLOB NOT NULL)")
    known = _weights(_packed_rows(db, list(new)), now)
    merged = [_merged(known.get(id_, {}), added) for id_, added in new.items()]
    db.executemany("INSERT OR REPLACE INTO link VALUES (?, ?)", zip(new, _packed(merged, now), strict=True))


def delete_links(db: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Removes the rows of memories; their numbers in the rows of others stay, and are passed over."""
    if _exists(db):
        db.executemany("DELETE FROM link WHERE id = ?", ((id_,) for id_ in ids))


def linked_to(db: sqlite3.Connection) -> int:
    """Memories up to this id have been linked."""
    row = db.execute("SELECT value FROM counter WHERE name = ?", (_COUNTER,)).fetchone()
    return int(row[0]) if row else 0


def set_linked_to(db: sqlite3.Connection, id_: int) -> None:
    """Notes up to which id memories have been linked."""
    db.execute("INSERT OR REPLACE INTO counter VALUES (?, ?)", (_COUNTER, id_))


def _exists(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'link'").fetchone() is not None


def _rows(db: sqlite3.Connection, ids: Sequence[int]) -> dict[int, npt.NDArray[np.void]]:
    return {id_: np.frombuffer(packed, dtype=_ROW) for id_, packed in _packed_rows(db, ids).items()}


def _packed_rows(db: sqlite3.Connection, ids: Sequence[int]) -> dict[int, bytes]:
    if not ids or not _exists(db):
        return {}
    found = {}
    for start in range(0, len(ids), _BATCH):
        part = ids[start : start + _BATCH]
        marks = ",".join("?" * len(part))
        for id_, packed in db.execute(f"SELECT id, targets FROM link WHERE id IN ({marks})", part):
            # What a damaged row has behind its last whole link is left out.
            found[int(id_)] = packed[: len(packed) - len(packed) % _ROW.itemsize]
    return found


def _faded(row: npt.NDArray[np.void], now: int) -> npt.NDArray[np.float64]:
    weights = np.nan_to_num(row["weight"].astype(np.float64), posinf=0.0, neginf=0.0).clip(0.0)
    age = np.maximum(now // _DAY - row["day"].astype(np.int64), 0)
    fading: npt.NDArray[np.float64] = np.where(row["kind"] == _RECALLED, 0.5 ** (age / _HALF_LIFE_DAYS), 1.0)
    return weights * fading


def _weights(packed: Mapping[int, bytes], now: int) -> dict[int, Weights]:
    """Weights by (id, kind) of each of some rows."""
    joined = np.frombuffer(b"".join(packed.values()), dtype=_ROW)
    keys = zip(joined["id"].tolist(), joined["kind"].tolist(), strict=True)
    pairs = list(zip(keys, _faded(joined, now).tolist(), strict=True))
    found, start = {}, 0
    for id_, row in packed.items():
        end = start + len(row) // _ROW.itemsize
        found[id_] = dict(pairs[start:end])
        start = end
    return found


def _merged(known: Weights, added: Sequence[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """The strongest (id, kind, weight), strongest first."""
    weights = dict(known)
    for target, kind, weight in added:
        before = weights.get((target, kind), 0.0)
        summed = min(before + weight, _STRONGEST)
        weights[target, kind] = summed if kind == _RECALLED else max(before, weight)
    best = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:_MOST]
    return [(id_, kind, weight) for (id_, kind), weight in best]


def _packed(rows: Sequence[Sequence[tuple[int, int, float]]], now: int) -> Iterator[bytes]:
    """Each row as it is kept."""
    day = min(max(now // _DAY, 0), 65_535)
    flat = np.array([(*link, day) for row in rows for link in row], dtype=_ROW).tobytes()
    start = 0
    for row in rows:
        end = start + len(row) * _ROW.itemsize
        yield flat[start:end]
        start = end
