"""The text leg: which memories share words with a query.

The index answers for most of them, postings in memory for the newest.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from arrowmind.memory.ranking.memories import TermStatistics
from arrowmind.memory.searching.bm25 import Postings
from arrowmind.memory.searching.memory_index import MemoryIndex
from arrowmind.memory.searching.text_index import IndexDamagedError, TextIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from arrowmind.memory.storage.blocks import Block, Filter
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.memory.storage.tables import IndexRow

__all__ = ["TextSearcher"]


class TextSearcher:
    """Keeps an open index and the postings of what is not in it, and follows the snapshots it is given."""

    def __init__(self, folder: Path, *, in_memory: bool = False) -> None:
        """Takes the folder of the index; ``in_memory`` makes one that no file holds."""
        self._folder, self._in_memory = folder, in_memory
        self._lock = threading.Lock()
        self._row: IndexRow | None = None
        self._index: TextIndex | None = None
        self._held: MemoryIndex | None = None
        self._postings = Postings()
        self._followed: Snapshot | None = None

    def search(
        self, snapshot: Snapshot, query: list[str], depth: int, wanted: Filter
    ) -> list[tuple[int, float]]:
        """(id, BM25) of the best live memories, best first.

        Raises:
            IndexDamagedError: the index has to be built again.
        """
        if not query:
            return []
        with self._lock:
            self._follow(snapshot)
            frequencies = self._index.frequencies(query) if self._index else {}
            scored = self._postings.scores(
                query,
                frequencies,
                self._index.records if self._index else 0,
                self._indexed_terms(),
            )
            live = snapshot.admitted(list(scored), wanted)
            found = {id_: score for id_, score in scored.items() if id_ in live}
            for id_, score in self._indexed(snapshot, query, depth, wanted):
                found.setdefault(id_, score)
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))[:depth]

    def holders(self, snapshot: Snapshot, term: str, most: int) -> list[int]:
        """Ids of ``most`` memories at most that hold a term, forgotten ones too.

        Raises:
            IndexDamagedError: the index has to be built again.
        """
        with self._lock:
            self._follow(snapshot)
            found = self._postings.holders(term)
            if self._index is not None and self._index.records:
                found += self._index.holders(term, most)
        return list(dict.fromkeys(found))[:most]

    def statistics(self, snapshot: Snapshot, query: Sequence[str]) -> TermStatistics:
        """How common the terms of a query are, among forgotten memories too.

        Raises:
            IndexDamagedError: the index has to be built again.
        """
        with self._lock:
            self._follow(snapshot)
            indexed = self._index.frequencies(query) if self._index else {}
            records = len(self._postings) + (self._index.records if self._index else 0)
            total = self._postings.terms + self._indexed_terms()
            holders = {term: self._postings.frequency(term) + indexed.get(term, 0) for term in query}
        return TermStatistics(records, total / records if records else 0.0, holders)

    def reset(self) -> None:
        """Opens the index again at the next search."""
        with self._lock:
            self._row, self._index, self._held, self._followed = None, None, None, None

    def _indexed_terms(self) -> int:
        if self._held is not None:
            return self._held.terms
        return self._row.terms if self._row else 0

    def _indexed(
        self, snapshot: Snapshot, query: list[str], depth: int, wanted: Filter
    ) -> list[tuple[int, float]]:
        if self._index is None or self._index.records == 0:
            return []
        limit = depth
        while True:
            hits = self._index.search(query, min(limit, self._index.records), wanted)
            live = snapshot.admitted([id_ for id_, _ in hits], wanted)
            # Forgotten and expired memories stay in the index for a while: look past them.
            if len(live) >= depth or len(hits) < limit:
                return [(id_, score) for id_, score in hits if id_ in live]
            limit *= 4

    def _follow(self, snapshot: Snapshot) -> None:
        if snapshot is self._followed:
            return
        if self._in_memory:
            self._hold(snapshot)
        else:
            self._follow_files(snapshot)
        self._followed = snapshot

    def _follow_files(self, snapshot: Snapshot) -> None:
        row = snapshot.text_index
        if row != self._row or (row is not None and self._index is None):
            self._open(row)
        for block in snapshot.blocks:
            if block.segment is None or not block.segment.indexed:
                self._add(block)

    def _hold(self, snapshot: Snapshot) -> None:
        held = self._held or MemoryIndex(self._folder)
        if held.follow(snapshot):
            self._postings = Postings()
        self._held, self._index = held, held.index
        for block in snapshot.blocks:
            if block.segment is None:
                self._add(block)

    def _open(self, row: IndexRow | None) -> None:
        same = self._row is not None and row is not None and self._row.generation == row.generation
        if row is None:
            self._index = None
        elif same and self._index is not None:
            self._index.reload()
        else:
            self._index = TextIndex(self._folder / row.generation)
            if self._index.records < row.records:
                raise IndexDamagedError(
                    f"{self._index.folder}: holds {self._index.records} memories, not {row.records}"
                )
        self._row = row
        self._postings = Postings()

    def _add(self, block: Block) -> None:
        first = block.rows.first_rows
        for id_, row in zip(block.rows.ids[first].tolist(), first.tolist(), strict=True):
            if id_ not in self._postings and block.is_live(row):
                self._postings.add(id_, block.rows.text(row))
