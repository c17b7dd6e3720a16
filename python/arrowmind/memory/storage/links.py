"""The association graph: which memories belong together, as sparse rows in the catalogue.

One row per memory holds its neighbours, packed, the strongest 24 of them: who belongs with everything belongs
with nothing in particular. A row is read by its key, so a walk costs what it touches however large the store
is; the log of SQLite is the append log. Links are derived: without them recall lacks one signal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.memory.ranking.memories import Edges

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

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


@dataclass(frozen=True)
class _Columns:
    """Links as columns: int64 sources and targets, uint8 kinds, float64 weights."""

    sources: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.float64]

    def chosen(self, places: npt.NDArray[np.int64]) -> _Columns:
        return _Columns(*(column[places] for column in self._all))

    def joined(self, other: _Columns) -> _Columns:
        return _Columns(*map(np.concatenate, zip(self._all, other._all, strict=True)))

    @property
    def _all(self) -> tuple[Any, ...]:
        return self.sources, self.targets, self.kinds, self.weights


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
    both = [
        (source, target, KINDS.index(kind), weight)
        for one, other, kind, weight in pairs
        if one != other and weight > 0
        for source, target in ((one, other), (other, one))
    ]
    db.execute("CREATE TABLE IF NOT EXISTS link (id INTEGER PRIMARY KEY, targets BLOB NOT NULL)")
    if not both:
        return
    sources, targets, kinds, weights = zip(*both, strict=True)
    new = _Columns(
        np.array(sources, np.int64), np.array(targets, np.int64), np.array(kinds, np.uint8), np.array(weights)
    )
    known = _known(_packed_rows(db, np.unique(new.sources).tolist()), now)
    merged = _strongest(_summed(known, new))
    db.executemany("INSERT OR REPLACE INTO link VALUES (?, ?)", _packed(merged, now))


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


def _known(packed: Mapping[int, bytes], now: int) -> _Columns:
    """Links of some rows, as they weigh now."""
    joined = np.frombuffer(b"".join(packed.values()), dtype=_ROW)
    counts = [len(row) // _ROW.itemsize for row in packed.values()]
    sources = np.repeat(np.array(list(packed), dtype=np.int64), counts)
    return _Columns(sources, joined["id"].astype(np.int64), joined["kind"], _faded(joined, now))


def _summed(known: _Columns, new: _Columns) -> _Columns:
    """Both as one, each link of a kind once: of recalls the sum, of others the greatest weight."""
    both = known.joined(new)
    both = both.chosen(np.lexsort((both.kinds, both.targets, both.sources)))
    if not len(both.sources):
        return both
    same = np.logical_and.reduce(
        [column[1:] == column[:-1] for column in (both.sources, both.targets, both.kinds)]
    )
    starts = np.flatnonzero(np.append(True, ~same))
    first = both.chosen(starts)
    sums = np.minimum(np.add.reduceat(both.weights, starts), _STRONGEST)
    greatest = np.maximum.reduceat(both.weights, starts)
    return replace(first, weights=np.where(first.kinds == _RECALLED, sums, greatest))


def _strongest(links: _Columns) -> _Columns:
    """The strongest of each memory, strongest first."""
    ordered = links.chosen(np.lexsort((links.kinds, links.targets, -links.weights, links.sources)))
    places = np.arange(len(ordered.sources))
    rank = places - np.searchsorted(ordered.sources, ordered.sources, side="left")
    return ordered.chosen(np.flatnonzero(rank < _MOST))


def _packed(links: _Columns, now: int) -> Iterator[tuple[int, bytes]]:
    """The row of each memory as it is kept."""
    rows = np.zeros(len(links.sources), dtype=_ROW)
    rows["id"], rows["kind"], rows["weight"] = links.targets, links.kinds, links.weights
    rows["day"] = min(max(now // _DAY, 0), 65_535)
    flat, (ids, starts) = rows.tobytes(), np.unique(links.sources, return_index=True)
    ends = [*starts[1:].tolist(), len(rows)]
    for id_, start, end in zip(ids.tolist(), starts.tolist(), ends, strict=True):
        yield id_, flat[start * _ROW.itemsize : end * _ROW.itemsize]
