"""Forgets memories: from the commit on they are never returned again, in any space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.memory.keeping.derivation_journal import forget_in_journal
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.attachments import delete_attachments
from arrowmind.memory.storage.lifecycle_tables import delete_lifecycle, derived_from
from arrowmind.memory.storage.links import delete_links
from arrowmind.memory.times import NEVER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from arrowmind.memory.searching.recaller import Limits
    from arrowmind.memory.session import Session
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.snapshot import Snapshot

__all__ = ["expired_ids", "forget", "forget_in"]


def forget(catalogue: Catalogue, session: Session, ids: Sequence[int], limits: Limits) -> list[int]:
    """Forgets those of the memories that are there and within the limits, and all that was derived from them.

    Their bytes stay in segments until those are rewritten.

    Returns:
        Ids of what was forgotten.
    """
    with catalogue.writing() as db:
        snapshot = session.snapshot_in(db)
        chosen = _present(snapshot, ids, limits)
        gone = [*chosen, *(id_ for id_ in derived_from(db, chosen) if id_ not in set(chosen))]
        forget_in(db, snapshot, gone)
        if gone:
            tables.touch_layout(db)
    session.accesses.drop(gone)
    forget_in_journal(session.paths, gone)
    return gone


def expired_ids(snapshot: Snapshot, now: int) -> list[int]:
    """Memories that are not forgotten and have expired by then."""
    found: list[int] = []
    for block in snapshot.blocks:
        rows = block.rows
        if rows.first_expiry == NEVER or rows.first_expiry > now:
            continue
        first = rows.first_rows
        gone = first[(rows.expires[first] != NEVER) & (rows.expires[first] <= now)]
        found += [int(rows.ids[row]) for row in gone.tolist() if block.is_live(row)]
    return found


def forget_in(db: sqlite3.Connection, snapshot: Snapshot, ids: Sequence[int]) -> None:
    """Forgets memories in a transaction of the caller."""
    tables.insert_tombstones(db, _marks(snapshot, ids))
    tables.delete_pending(db, ids)
    tables.delete_accesses(db, ids)
    delete_attachments(db, ids)
    delete_lifecycle(db, ids)
    delete_links(db, ids)


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
