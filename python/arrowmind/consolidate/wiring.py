"""A memory store as consolidation sees it.

It reads through snapshots of its own, so that nothing here waits for a writer or makes one wait, and writes
through `MemoryStore.lifecycle`, of which each call is one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.consolidate.records import SourceMemory, Tier
from arrowmind.consolidate.store import KnownFact
from arrowmind.memory.encoder import embed_texts
from arrowmind.memory.keeping import lifecycle
from arrowmind.memory.opening import open_catalogue
from arrowmind.memory.resting import may_rest
from arrowmind.memory.searching.vector_search import nearest
from arrowmind.memory.session import SessionHolder
from arrowmind.memory.settings import RecallSettings, StoreSettings
from arrowmind.memory.storage import lifecycle_tables, tables
from arrowmind.memory.storage.blocks import Filter
from arrowmind.memory.storage.traits import DEFAULT_NAMESPACE, HAS_TEXT, ORIGINS
from arrowmind.memory.times import now_microseconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.consolidate.records import Change, DerivedMemory
    from arrowmind.consolidate.store import Wanted
    from arrowmind.memory import MemoryStore, TextEncoder
    from arrowmind.memory.storage.blocks import Block
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.snapshot import Snapshot

    FloatArray = npt.NDArray[np.float32]

__all__ = ["StoreView"]

# Groups need no exact order: what belongs together is far above the rest.
_FULL_SCAN_ROWS, _OVERSAMPLE = 8192, 8
_DERIVED = ORIGINS.index("derived")
_FACTS_LOOKED_AT = 64


class StoreView:
    """Implements `StoreForConsolidation` for a `MemoryStore`.

    Args:
        store: opened; stays the caller's.
        encoder: makes vectors of what is derived; None takes those of the sources.
    """

    def __init__(self, store: MemoryStore, encoder: TextEncoder | None) -> None:
        self._store = store
        self._encoder = encoder
        self._paths = store.paths
        self._settings = RecallSettings(full_scan_rows=_FULL_SCAN_ROWS, oversample=_OVERSAMPLE)
        self._catalogue = open_catalogue(self._paths, StoreSettings().busy_seconds, create=False)
        self._sessions = SessionHolder(self._catalogue, self._paths)
        with self._catalogue.reading() as db:
            self._identity = str(tables.settings(db)["store"])

    def close(self) -> None:
        """Lets go of the files."""
        self._catalogue.close()

    @property
    def identity(self) -> str:
        """The id that the store was made with."""
        return self._identity

    @property
    def paths(self) -> StorePaths:
        """Of the store."""
        return self._paths

    # Reading.

    def candidates(self, wanted: Wanted) -> list[SourceMemory]:
        """As `StoreForConsolidation.candidates`; texts are read of those alone that are given back."""
        snapshot = self._snapshot()
        with self._catalogue.reading() as db:
            used = _used(db)
            counts = _accesses(db, wanted.min_access)
        found: list[tuple[int, int, int, Block, int]] = []
        for block in snapshot.blocks:
            for row in _live_rows(block, before=wanted.before).tolist():
                id_ = int(block.rows.ids[row])
                count, _ = counts.get(id_, (0, 0))
                if count >= wanted.min_access and id_ not in used:
                    found.append((-count, int(block.rows.timestamps[row]), id_, block, row))
        best = sorted(found, key=lambda item: item[:3])[: wanted.limit]
        return [self._memory(snapshot, block, row, counts.get(id_, (0, 0))) for *_, id_, block, row in best]

    def get(self, ids: Collection[int]) -> dict[int, SourceMemory]:
        """As `StoreForConsolidation.get`."""
        snapshot = self._snapshot()
        with self._catalogue.reading() as db:
            counts = {id_: tables.access_of(db, id_) for id_ in ids}
            tiers = {id_: Tier(lifecycle_tables.tier_of(db, id_)) for id_ in ids}
        now = now_microseconds()
        present = snapshot.admitted(list(ids), Filter(now, archived=True)) if ids else set()
        places = {id_: snapshot.find(id_) for id_ in sorted(present)}
        return {
            id_: self._memory(snapshot, *place, counts[id_], tiers[id_])
            for id_, place in places.items()
            if place is not None and place[0].rows.origins[place[1]] != _DERIVED
        }

    def nearest(self, vector: FloatArray, count: int) -> list[tuple[int, float]]:
        """As `StoreForConsolidation.nearest`, by the scan that recall uses."""
        home = self._snapshot().home
        found = nearest(home, vector, count, Filter(now_microseconds(), presence=HAS_TEXT), self._settings)
        return [(item.id, item.cosine) for item in found]

    def known_facts(self, vector: FloatArray, namespace: str, count: int) -> list[KnownFact]:
        """As `StoreForConsolidation.known_facts`."""
        snapshot = self._snapshot()
        ids = [id_ for id_, _ in self.nearest(vector, _FACTS_LOOKED_AT)]
        begins = self._store.lifecycle.open_facts(ids)
        found = []
        for id_ in ids:
            place = snapshot.find(id_) if id_ in begins else None
            if place is not None:
                content = place[0].rows.content(place[1])
                if _namespace(snapshot, content.traits.namespace) == namespace:
                    found.append(KnownFact(id_, content.text, begins[id_]))
        return found[:count]

    def embed(self, texts: Sequence[str]) -> FloatArray | None:
        """As `StoreForConsolidation.embed`; of a long text the mean of its windows."""
        if self._encoder is None or not texts:
            return None
        return np.stack([_unit(part.mean(axis=0)) for part in embed_texts(self._encoder, texts)])

    def texts(self) -> Iterator[SourceMemory]:
        """As `StoreForConsolidation.texts`."""
        snapshot = self._snapshot()
        with self._catalogue.reading() as db:
            tiers = lifecycle_tables.tiers(db)
            counts = _accesses(db, 0)
        blocks = [(block, row) for block in snapshot.blocks for row in _live_rows(block).tolist()]
        for block, row in sorted(blocks, key=lambda place: int(place[0].rows.ids[place[1]])):
            id_ = int(block.rows.ids[row])
            tier = Tier(tiers.get(id_, 0))
            yield self._memory(snapshot, block, row, counts.get(id_, (0, 0)), tier)

    def recalled_cold(self) -> list[int]:
        """As `StoreForConsolidation.recalled_cold`."""
        return self._store.lifecycle.recalled_cold()

    # Writing.

    def commit(self, change: Change) -> tuple[int, ...]:
        """As `StoreForConsolidation.commit`."""
        wanted = lifecycle.Change(
            key=change.key,
            run=change.run,
            derived=tuple(_derived(memory) for memory in change.derived),
            tiers={id_: int(tier) for id_, tier in change.tiers.items()},
            closings=change.closings,
            replaced_here=tuple(
                (old, new) for new, memory in enumerate(change.derived) for old in memory.replaces_here
            ),
        )
        return tuple(self._store.lifecycle.apply(wanted))

    def undo(self, keys: Sequence[str]) -> int:
        """As `StoreForConsolidation.undo`."""
        return self._store.lifecycle.undo(keys)

    def move(self, key: str, tiers: Mapping[int, Tier]) -> None:
        """As `StoreForConsolidation.move`."""
        change = lifecycle.Change(key=key, run=key, tiers={id_: int(tier) for id_, tier in tiers.items()})
        self._store.lifecycle.apply(change)

    def settle(self) -> None:
        """As `StoreForConsolidation.settle`."""
        self._store.settle()

    def _snapshot(self) -> Snapshot:
        return self._sessions.current.snapshot()

    def _memory(
        self, snapshot: Snapshot, block: Block, row: int, access: tuple[int, int], tier: Tier = Tier.HOT
    ) -> SourceMemory:
        may_rest()
        content = block.rows.content(row)
        return SourceMemory(
            id=content.id,
            text=content.text,
            vector=_vector(block.rows, row),
            timestamp=content.timestamp,
            namespace=_namespace(snapshot, content.traits.namespace),
            category=snapshot.categories.get(content.traits.category),
            access_count=access[0],
            last_access=access[1],
            tier=tier,
        )


def _live_rows(block: Block, before: int | None = None) -> npt.NDArray[np.int64]:
    """First rows of memories with a text that are neither forgotten, expired nor derived."""
    rows = block.rows
    first = rows.first_rows
    excluded = block.excluded(Filter(now_microseconds(), until=before, presence=HAS_TEXT))
    live = rows.origins[first] != _DERIVED
    if excluded is not None:
        live &= ~excluded[first]
    found: npt.NDArray[np.int64] = first[live]
    return found


def _used(db: sqlite3.Connection) -> set[int]:
    """Memories that a change has had to do with, and those that are not near any more."""
    statement = (
        "SELECT source FROM quote UNION SELECT id FROM tier_move UNION "
        f"SELECT id FROM tier WHERE tier >= {int(Tier.COLD)}"
    )
    return {int(row[0]) for row in db.execute(statement)}


def _accesses(db: sqlite3.Connection, least: int) -> dict[int, tuple[int, int]]:
    """(count, last access) by id of those that were recalled so often."""
    rows = db.execute("SELECT id, count, last FROM access WHERE count >= ?", (least,))
    return {int(id_): (int(count), int(last)) for id_, count, last in rows}


def _vector(rows: Rows, row: int) -> FloatArray | None:
    end = row + rows.window_count(row)
    centre = rows.vectors(np.arange(row, end)).mean(axis=0)
    return _unit(centre) if centre.any() else None


def _unit(vector: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return (vector / length).astype(np.float32) if length > 0 else vector


def _namespace(snapshot: Snapshot, number: int) -> str:
    return snapshot.namespaces.get(number, DEFAULT_NAMESPACE)


def _derived(memory: DerivedMemory) -> lifecycle.Derived:
    return lifecycle.Derived(
        text=memory.text,
        quotes=tuple(lifecycle_tables.Quote(quote.source, quote.text) for quote in memory.quotes),
        vector=memory.vector,
        valid_from=memory.valid_from,
        valid_to=memory.valid_to,
        replaces=memory.replaces,
        namespace=memory.namespace or None,
        category=memory.category,
        made_by=memory.made_by,
    )
