"""Finds what new memories belong with: by meaning, and by rare words."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.resting import may_rest
from arrowmind.memory.searching.linking_kinds import linked_by_kinds
from arrowmind.memory.searching.retrieval import with_text
from arrowmind.memory.searching.terms import STOP_WORDS, terms
from arrowmind.memory.searching.vector_search import nearest
from arrowmind.memory.storage.blocks import Filter
from arrowmind.memory.storage.links import add_links, linked_to, set_linked_to
from arrowmind.memory.times import now_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.memory.searching.text_search import TextSearcher
    from arrowmind.memory.session import Session
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.observe import Progress

    FloatArray = npt.NDArray[np.float32]
    Pair = tuple[int, int, str, float]
    Place = tuple[int, Rows, int]

__all__ = ["link_new"]

_SIMILAR = 8
_LEAST_COSINE = 0.3
# Terms that more memories hold are not rare, whatever the size of the store.
_MOST_HOLDERS = 12
_RARE_TERMS = 6
# What a shared term is worth beside a cosine: idf / holders is about 1 for such terms.
_TERM_WEIGHT = 0.25
_READ_CHARACTERS = 4000
_BATCH = 64
_FULL_SCAN_ROWS = 8192
# Terms whose holders are kept while memories are linked.
_KEPT_TERMS = 200_000


def link_new(
    catalogue: Catalogue, session: Session, settings: RecallSettings, limit: int, progress: Progress
) -> int:
    """Links memories that came since the last call, oldest first; each batch is one transaction.

    Args:
        catalogue: of the store.
        session: of this process.
        settings: how to search.
        limit: memories to link, at most.
        progress: called with (memories linked, memories to link, "links").

    Returns:
        How many were linked.
    """
    snapshot = session.snapshot()
    with catalogue.reading() as db:
        last = linked_to(db)
    waiting = _waiting(snapshot, last)[:limit]
    # Links need no exact order: in all but small stores one-bit codes choose.
    settings = replace(settings, full_scan_rows=min(settings.full_scan_rows, _FULL_SCAN_ROWS))
    rare = RareTerms(session.texts, snapshot)
    for start in range(0, len(waiting), _BATCH):
        batch = waiting[start : start + _BATCH]
        now = now_microseconds()
        numbers = {id_: int(rows.namespaces[row]) for id_, rows, row in batch}
        filters = {number: Filter(now, namespace=number) for number in set(numbers.values())}
        wanted = {id_: filters[number] for id_, number in numbers.items()}
        pairs = [pair for place in batch for pair in _similar(snapshot, settings, wanted, place)]
        pairs += _by_terms(rare, snapshot, wanted, batch)
        alignment = session.joint(snapshot).alignment
        pairs += linked_by_kinds(snapshot, alignment, settings, wanted)
        with catalogue.writing() as db:
            # Another process may have linked the same: nothing is doubled, the greater weight stays.
            add_links(db, pairs, now)
            set_linked_to(db, max(batch[-1][0], linked_to(db)))
        progress(start + len(batch), len(waiting), "links")
    return len(waiting)


def _waiting(snapshot: Snapshot, last: int) -> list[Place]:
    found = []
    for block in snapshot.blocks:
        firsts = block.rows.first_rows
        for row in firsts[block.rows.ids[firsts] > last].tolist():
            if block.is_live(row):
                found.append((int(block.rows.ids[row]), block.rows, row))
    return sorted(found, key=lambda item: item[0])


def _similar(
    snapshot: Snapshot, settings: RecallSettings, wanted: Mapping[int, Filter], place: Place
) -> Iterator[Pair]:
    """What means much the same as a memory, of its own namespace."""
    may_rest()
    id_, rows, row = place
    vector = _vector(rows, row)
    if vector is not None:
        for item in nearest(snapshot.home, vector, _SIMILAR + 1, with_text(wanted[id_]), settings):
            if item.id != id_ and item.cosine > _LEAST_COSINE:
                yield id_, item.id, "similar", item.cosine - _LEAST_COSINE


def _by_terms(
    rare: RareTerms, snapshot: Snapshot, wanted: Mapping[int, Filter], batch: Sequence[Place]
) -> Iterator[Pair]:
    """What shares the rarest terms of some memories, each of its own namespace."""
    found = {id_: rare.weights(rows.text(row)[:_READ_CHARACTERS]) for id_, rows, row in batch}
    for limits in set(wanted.values()):
        here = [id_ for id_ in found if wanted[id_] is limits]
        live = snapshot.admitted(list({other for id_ in here for other in found[id_]}), limits)
        for id_ in here:
            for other, weight in found[id_].items():
                if other != id_ and other in live:
                    yield id_, other, "terms", _TERM_WEIGHT * weight


class RareTerms:
    """Terms that few memories hold, and which; what was looked up is kept for the memories that follow."""

    def __init__(self, texts: TextSearcher, snapshot: Snapshot) -> None:
        """Takes the text leg, and the state of the store that is linked."""
        self._texts, self._snapshot = texts, snapshot
        self._records = 0
        self._counts: dict[str, int] = {}
        self._holders: dict[str, list[int]] = {}

    def weights(self, text: str) -> dict[int, float]:
        """Memories that hold the rarest terms of a text, forgotten ones too, and what that is worth."""
        may_rest()
        distinct = [term for term in dict.fromkeys(terms(text)) if term not in STOP_WORDS]
        self._count(distinct)
        shared = [term for term in distinct if 2 <= self._counts[term] <= _MOST_HOLDERS]
        shared.sort(key=lambda term: (self._counts[term], term))
        weights: defaultdict[int, float] = defaultdict(float)
        for term in shared[:_RARE_TERMS]:
            holders = self._counts[term]
            rarity = math.log1p((self._records - holders + 0.5) / (holders + 0.5))
            for other in self._held(term):
                weights[other] += rarity / holders
        return weights

    def _count(self, distinct: Sequence[str]) -> None:
        if len(self._counts) > _KEPT_TERMS:
            self._counts, self._holders = {}, {}
        new = [term for term in distinct if term not in self._counts]
        if new or not self._records:
            statistics = self._texts.statistics(self._snapshot, new)
            self._records = statistics.records
            self._counts.update(statistics.holders)

    def _held(self, term: str) -> list[int]:
        if term not in self._holders:
            self._holders[term] = self._texts.holders(self._snapshot, term, _MOST_HOLDERS)
        return self._holders[term]


def _vector(rows: Rows, row: int) -> FloatArray | None:
    """The vector of a memory's first window, of length 1."""
    (vector,) = rows.vectors(np.array([row]))
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else None
