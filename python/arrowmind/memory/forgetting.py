"""Forgets memories: from the commit on they are never returned again, in any space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.memory import tables
from arrowmind.memory.attachments import delete_attachments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.memory.catalogue import Catalogue
    from arrowmind.memory.recaller import Limits
    from arrowmind.memory.session import Session
    from arrowmind.memory.snapshot import Snapshot

__all__ = ["forget"]


def forget(catalogue: Catalogue, session: Session, ids: Sequence[int], limits: Limits) -> list[int]:
    """Forgets those of the memories that are there and within the limits; returns which they were.

    Their bytes stay in segments until those are rewritten.
    """
    with catalogue.writing() as db:
        snapshot = session.snapshot_in(db)
        gone = _present(snapshot, ids, limits)
        tables.delete_pending(db, gone)
        tables.insert_tombstones(db, _marks(snapshot, gone))
        tables.delete_accesses(db, gone)
        delete_attachments(db, gone)
        if gone:
            tables.touch_layout(db)
    session.accesses.drop(gone)
    return gone


def _present(snapshot: Snapshot, ids: Sequence[int], limits: Limits) -> list[int]:
    namespace = limits.namespace_in(snapshot)
    found = []
    for id_ in ids:
        place = snapshot.find(id_)
        if place is None:
            continue
        # Also what has expired: forgetting it removes its bytes at the next occasion.
        if namespace is None or place[0].rows.namespaces[place[1]] == namespace:
            found.append(id_)
    return found


def _marks(snapshot: Snapshot, ids: Sequence[int]) -> list[tuple[int, int, int]]:
    """Tombstones: one for each segment that holds vectors of a memory."""
    return [
        (id_, block.segment.id, block.rows.window_count(row))
        for id_ in ids
        for space in snapshot.spaces
        for block, row in space.places(id_)
        if block.segment is not None
    ]
