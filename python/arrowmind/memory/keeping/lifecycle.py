"""Changes of what is kept how: derived memories become visible as their sources move to other tiers.

A change is one transaction and has a key: made again, it changes nothing; it can be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import MemoryStoreError
from arrowmind.memory.intake.drafts import make_drafts
from arrowmind.memory.keeping.forgetting import forget_in
from arrowmind.memory.steps import reached
from arrowmind.memory.storage import lifecycle_tables, tables
from arrowmind.memory.storage.lifecycle_tables import Derivation, Quote
from arrowmind.memory.times import NEVER, from_microseconds, now_microseconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.memory.intake.receiving import Intake
    from arrowmind.memory.keeping.keeper import Keeper
    from arrowmind.memory.session import SessionHolder
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.snapshot import Snapshot

__all__ = ["Change", "Derived", "Lifecycle"]


@dataclass(frozen=True)
class Derived:
    """A memory to be derived from others.

    Attributes:
        text: what it says.
        quotes: what it rests on; at least one.
        vector: float32 [dimension]; None lets the store encode the text.
        valid_from: since when it holds, microseconds; it stands at this moment among the memories.
        valid_to: until when, 0 for no end.
        replaces: derived memories that it contradicts.
        namespace: that of its sources; None for the default one.
        category: its label.
        made_by: what wrote it.
    """

    text: str
    quotes: tuple[Quote, ...]
    vector: npt.NDArray[np.float32] | None = field(default=None, compare=False)
    valid_from: int = NEVER
    valid_to: int = NEVER
    replaces: tuple[int, ...] = ()
    namespace: str | None = None
    category: str | None = None
    made_by: str = ""


@dataclass(frozen=True)
class Change:
    """What becomes true in one transaction.

    Attributes:
        key: names the change.
        run: what it belongs to.
        derived: memories that become visible.
        tiers: where memories are kept from then on, numbers of `TIERS`.
        closings: until when derived memories hold, microseconds by id.
        replaced_here: pairs of places in ``derived``: the second contradicts the first.
    """

    key: str
    run: str = ""
    derived: tuple[Derived, ...] = ()
    tiers: Mapping[int, int] = field(default_factory=dict)
    closings: Mapping[int, int] = field(default_factory=dict)
    replaced_here: tuple[tuple[int, int], ...] = ()


class Lifecycle:
    """Makes changes and takes them back."""

    def __init__(self, catalogue: Catalogue, sessions: SessionHolder, intake: Intake, keeper: Keeper) -> None:
        self._catalogue = catalogue
        self._sessions = sessions
        self._intake = intake
        self._keeper = keeper

    def apply(self, change: Change) -> list[int]:
        """Makes a change; returns the ids of what was derived, those of the first time if it is made already.

        Raises:
            MemoryStoreError: a memory that it rests on is forgotten, or nothing can be written.
        """
        insert = self._intake.prepare(*_arguments(change)) if change.derived else None
        with self._catalogue.writing() as db:
            if lifecycle_tables.has_change(db, change.key):
                return lifecycle_tables.derived_by(db, change.key)
            self._check_sources(db, change)
            ids = insert(db) if insert else []
            for id_, derived in zip(ids, change.derived, strict=True):
                lifecycle_tables.insert_derivation(db, id_, _derivation(change, derived))
            _close(db, change, ids)
            lifecycle_tables.move_tiers(db, change.key, change.tiers)
            lifecycle_tables.insert_change(db, change.key, change.run, now_microseconds())
            tables.touch_layout(db)
            reached("change.before_commit")
        reached("change.committed")
        self._keeper.tidy()
        return ids

    def undo(self, keys: Sequence[str]) -> int:
        """Takes changes back in one transaction, the last first; returns how many there were."""
        count = 0
        session = self._sessions.current
        with self._catalogue.writing() as db:
            for key in reversed(keys):
                if lifecycle_tables.delete_change(db, key):
                    lifecycle_tables.restore_closings(db, key)
                    lifecycle_tables.restore_tiers(db, key)
                    forget_in(db, session.snapshot_in(db), lifecycle_tables.derived_by(db, key))
                    count += 1
            tables.touch_layout(db)
            reached("undo.before_commit")
        self._keeper.reclaim()
        return count

    def derivation(self, id_: int) -> Derivation | None:
        """What a memory rests on; None if it is not derived."""
        with self._catalogue.reading() as db:
            return lifecycle_tables.derivation_of(db, id_)

    def tiers(self) -> dict[int, int]:
        """Tiers of all memories that are not hot, numbers of `TIERS`."""
        with self._catalogue.reading() as db:
            return lifecycle_tables.tiers(db)

    def recalled_cold(self) -> list[int]:
        """Cold memories that were recalled since they were moved last, as far as that is written yet."""
        with self._catalogue.reading() as db:
            return lifecycle_tables.recalled_cold(db)

    def open_facts(self, ids: Sequence[int]) -> dict[int, int]:
        """Since when those of the memories hold that are derived and whose validity has no end."""
        with self._catalogue.reading() as db:
            return lifecycle_tables.open_facts(db, ids)

    def _check_sources(self, db: sqlite3.Connection, change: Change) -> None:
        snapshot = self._sessions.current.snapshot_in(db)
        needed = {quote.source for derived in change.derived for quote in derived.quotes} | set(change.tiers)
        missing = [id_ for id_ in sorted(needed) if not _is_there(snapshot, id_)]
        if missing:
            raise MemoryStoreError(
                f"change {change.key}: memory {missing[0]} is forgotten meanwhile; derive it again without it"
            )


def _is_there(snapshot: Snapshot, id_: int) -> bool:
    return snapshot.find(id_) is not None


def _arguments(change: Change) -> tuple[Any, Any]:
    """Drafts and vectors of what is derived."""
    derived = change.derived
    columns = {
        **dict.fromkeys(("image", "audio", "metadata", "expires", "trust"), None),
        "origin": "derived",
        "category": [item.category for item in derived],
        "namespace": [item.namespace for item in derived],
        "timestamp": [from_microseconds(item.valid_from) if item.valid_from else None for item in derived],
    }
    drafts = make_drafts([item.text for item in derived], columns)
    vectors = [item.vector for item in derived]
    return drafts, None if any(vector is None for vector in vectors) else np.array(vectors)


def _derivation(change: Change, derived: Derived) -> Derivation:
    return Derivation(change.key, derived.quotes, derived.valid_from, derived.valid_to, derived.made_by)


def _close(db: sqlite3.Connection, change: Change, ids: Sequence[int]) -> None:
    """Ends the validity of what is contradicted, and links it to what contradicts it."""
    moments = dict(change.closings)
    by = {old: id_ for id_, derived in zip(ids, change.derived, strict=True) for old in derived.replaces}
    for old, new in change.replaced_here:
        by[ids[old]] = ids[new]
        moments.setdefault(ids[old], change.derived[old].valid_to or change.derived[new].valid_from)
    for id_, moment in moments.items():
        lifecycle_tables.close(db, change.key, id_, moment, by.get(id_, 0))
