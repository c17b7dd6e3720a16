"""Finds what new memories belong with: by meaning, and by rare words."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.searching.linking_kinds import linked_by_kinds
from arrowmind.memory.searching.retrieval import with_text
from arrowmind.memory.searching.terms import STOP_WORDS, terms
from arrowmind.memory.searching.vector_search import nearest
from arrowmind.memory.storage.blocks import Filter
from arrowmind.memory.storage.links import add_links, linked_to, set_linked_to
from arrowmind.memory.times import now_microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from arrowmind.memory.session import Session
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.rows import Rows
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.observe import Progress

    FloatArray = npt.NDArray[np.float32]

__all__ = ["link_new"]

_SIMILAR = 8
_LEAST_COSINE = 0.3
# Terms that more memories hold are not rare, whatever the size of the store.
_MOST_HOLDERS = 12
_RARE_TERMS = 6
# What a shared term is worth beside a cosine: idf / holders is about 1 for such terms.
_TERM_WEIGHT = 0.25
_READ_CHARACTERS = 4000
_BATCH = 256

Pair = tuple[int, int, str, float]


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
    for start in range(0, len(waiting), _BATCH):
        batch = waiting[start : start + _BATCH]
        now = now_microseconds()
        wanted = {id_: Filter(now, namespace=int(rows.namespaces[row])) for id_, rows, row in batch}
        pairs = [
            pair
            for id_, rows, row in batch
            for pair in _pairs(session, snapshot, settings, wanted[id_], (id_, rows, row))
        ]
        alignment = session.joint(snapshot).alignment
        pairs += linked_by_kinds(snapshot, alignment, settings, wanted)
        with catalogue.writing() as db:
            # Another process may have linked the same: nothing is doubled, the greater weight stays.
            add_links(db, pairs, now)
            set_linked_to(db, max(batch[-1][0], linked_to(db)))
        progress(start + len(batch), len(waiting), "links")
    return len(waiting)


def _waiting(snapshot: Snapshot, last: int) -> list[tuple[int, Rows, int]]:
    found = []
    for block in snapshot.blocks:
        firsts = block.rows.first_rows
        for row in firsts[block.rows.ids[firsts] > last].tolist():
            if block.is_live(row):
                found.append((int(block.rows.ids[row]), block.rows, row))
    return sorted(found, key=lambda item: item[0])


def _pairs(
    session: Session,
    snapshot: Snapshot,
    settings: RecallSettings,
    wanted: Filter,
    place: tuple[int, Rows, int],
) -> Iterator[Pair]:
    """What one memory belongs with by its text, of its own namespace."""
    id_, rows, row = place
    vector = _vector(rows, row)
    if vector is not None:
        for item in nearest(snapshot.home, vector, _SIMILAR + 1, with_text(wanted), settings):
            if item.id != id_ and item.cosine > _LEAST_COSINE:
                yield id_, item.id, "similar", item.cosine - _LEAST_COSINE
    yield from _by_terms(session, snapshot, wanted, id_, rows.text(row)[:_READ_CHARACTERS])


def _by_terms(session: Session, snapshot: Snapshot, wanted: Filter, id_: int, text: str) -> Iterator[Pair]:
    """The rarest of its terms that others hold, too."""
    distinct = [term for term in dict.fromkeys(terms(text)) if term not in STOP_WORDS]
    statistics = session.texts.statistics(snapshot, distinct)
    shared = [term for term in distinct if 2 <= statistics.holders[term] <= _MOST_HOLDERS]
    shared.sort(key=lambda term: (statistics.holders[term], term))
    weights: Counter[int] = Counter()
    for term in shared[:_RARE_TERMS]:
        holders = statistics.holders[term]
        rarity = math.log1p((statistics.records - holders + 0.5) / (holders + 0.5))
        for other, _ in session.texts.search(snapshot, [term], _MOST_HOLDERS, wanted):
            if other != id_:
                weights[other] += rarity / holders  # type: ignore[assignment]
    for other, weight in weights.items():
        yield id_, other, "terms", _TERM_WEIGHT * weight


def _vector(rows: Rows, row: int) -> FloatArray | None:
    """The vector of a memory's first window, of length 1."""
    (vector,) = rows.vectors(np.array([row]))
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else None
