"""Work on the files of a store: one process at a time, nothing a caller waits for unless asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.columnar import sweep_temporary
from arrowmind.errors import OptimizationError
from arrowmind.memory.keeping.derivation_journal import forget_in_journal
from arrowmind.memory.keeping.forgetting import expired_ids, forget_in
from arrowmind.memory.keeping.tiering import Tiering
from arrowmind.memory.records import CompactionReport
from arrowmind.memory.searching.indexing import index_problem, rebuild_index, stale_records, update_index
from arrowmind.memory.searching.text_index import remove_generations
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.blobs import remove_blobs
from arrowmind.memory.storage.compaction import (
    crowded_segments,
    erase_leftovers,
    remove_orphans,
    rewrite,
    segments_of,
    small_segments,
    spoilt_segments,
    wasteful_segments,
)
from arrowmind.memory.storage.flushing import flush_pending, write_batch
from arrowmind.memory.storage.lifecycle_tables import derived_from
from arrowmind.memory.storage.lock import hold_lock, try_lock
from arrowmind.memory.storage.paths import size_of
from arrowmind.memory.storage.segment import SegmentWriter
from arrowmind.memory.storage.spaces import HOME
from arrowmind.memory.times import now_microseconds
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from arrowmind.memory.keeping.tiering import Settled
    from arrowmind.memory.records import Settlement
    from arrowmind.memory.session import SessionHolder
    from arrowmind.memory.settings import StoreSettings
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.memory.storage.spaces import SpaceRow
    from arrowmind.memory.storage.tables import NewRecord, SegmentRow

    Also = Callable[[sqlite3.Connection, list[int]], None]

__all__ = ["Keeper"]

_log = get_logger(__name__)


class Keeper:
    """Flushes, merges, indexes, compacts and sweeps one store."""

    def __init__(
        self, catalogue: Catalogue, paths: StorePaths, sessions: SessionHolder, settings: StoreSettings
    ) -> None:
        self._catalogue = catalogue
        self._paths = paths
        self._sessions = sessions
        self._settings = settings

    def store_batch(self, records: Sequence[NewRecord], also: Also) -> list[int] | None:
        """Stores many memories as segments of their own; None if another process holds the lock.

        Args:
            records: the memories.
            also: writes what belongs to them, given their ids, in the transaction that names them.
        """
        with try_lock(self._paths.lock) as taken:
            if not taken:
                return None
            spaces = [space.row for space in self._snapshot().spaces]
            return write_batch(
                self._catalogue, self._writers(), spaces, records, self._settings.batch_rows, also
            )

    def tidy(self) -> None:
        """Flushes, indexes and merges as far as it is due; does nothing while another process does it."""
        self._after_a_change("tidy", self._tidy)

    def reclaim(self) -> None:
        """Rewrites segments of which much is forgotten; does nothing while another process works on them."""
        self._after_a_change("reclaim", self._reclaim)

    def _after_a_change(self, task: str, work: Callable[[], None]) -> None:
        """Does what can wait. A failure must not look like one of the change, which is stored already."""
        try:
            with try_lock(self._paths.lock) as taken:
                if taken:
                    work()
        except (OptimizationError, OSError) as error:
            _log.warning("maintenance_failed", task=task, error=str(error))

    def _tidy(self) -> None:
        self._flush_if_due()
        self._update_index()
        for number in range(len(self._snapshot().spaces)):
            while group := crowded_segments(self._snapshot().spaces[number], self._settings):
                self._rewrite(group)

    def _reclaim(self) -> None:
        remove_blobs(self._catalogue, self._paths, self._settings.orphan_seconds)
        self._forget_expired()
        spaces = self._snapshot().spaces
        wasteful = [s for space in spaces for s in wasteful_segments(space, self._settings)]
        removed = [id_ for segment in wasteful for id_ in self._rewrite([segment])]
        removed += self._tiering().reclaim()
        if removed:
            self._forget_in_index(removed)

    def flush(self) -> None:
        """Makes segments of everything that waits and indexes it; waits for the lock."""
        with self._locked():
            self._flush()
            self._update_index()

    def compact(self) -> CompactionReport:
        """Removes every byte of what was forgotten or has expired, and merges small segments."""
        with self._locked():
            before = size_of(self._paths.root)
            expired = self._forget_expired()
            settled = self._settle()
            removed, groups = settled.removed, self._compaction_groups()
            removed += [id_ for group in groups for id_ in self._rewrite(group)]
            snapshot = self._snapshot()
            missing = any(block.segment and not block.segment.indexed for block in snapshot.blocks)
            if stale_records(snapshot) or missing:
                self._rebuild_index(snapshot)
            self._sweep_files(older_than_seconds=self._settings.orphan_seconds)
            remove_blobs(self._catalogue, self._paths, self._settings.orphan_seconds)
            self._catalogue.seal(whole=True)
            erase_leftovers(self._catalogue, self._settings.busy_seconds)
            after = size_of(self._paths.root)
        return CompactionReport(
            len(removed) + expired, settled.rewritten + sum(map(len, groups)), before, after
        )

    def settle(self) -> Settlement:
        """Puts memories where their tiers say, and cold files together; waits for the lock."""
        with self._locked():
            return self._settle().report

    def _settle(self) -> Settled:
        tiering = self._tiering()
        if tiering.has_cold_waiting():
            self._flush()
            self._update_index()
        return tiering.settle()

    def _tiering(self) -> Tiering:
        return Tiering(self._catalogue, self._sessions, self._writers, self._settings)

    def repair_index(self) -> None:
        """Builds the text index again, unless another process has done so meanwhile."""
        with self._locked():
            snapshot = self._snapshot()
            if snapshot.text_index is not None and not self._is_index_sound():
                rebuild_index(self._catalogue, self._paths.index, snapshot)

    def sweep(self) -> None:
        """Removes what killed processes left behind; does nothing while another process writes."""
        if self._has_leftovers():
            with try_lock(self._paths.lock) as taken:
                if taken:
                    self._sweep_files(self._settings.orphan_seconds)

    def _has_leftovers(self) -> bool:
        """Whether there are files that the catalogue does not name."""
        with self._catalogue.reading() as db:
            named = {segment.name for segment in tables.segments(db)}
            index = tables.text_index(db)
        generations = {index.generation} if index else set()
        present = {entry.name for entry in self._paths.segments.iterdir()}
        return bool(present - named or {entry.name for entry in self._paths.index.iterdir()} - generations)

    def _locked(self) -> AbstractContextManager[None]:
        return hold_lock(self._paths.lock, self._settings.busy_seconds)

    def _snapshot(self) -> Snapshot:
        return self._sessions.current.snapshot()

    def _writers(self) -> Callable[[SpaceRow], SegmentWriter]:
        with self._catalogue.reading() as db:
            store = str(tables.settings(db)["store"])
        return lambda space: SegmentWriter(self._paths.segments, store, space, self._paths.files)

    def _flush_if_due(self) -> None:
        with self._catalogue.reading() as db:
            waiting = tables.pending_vectors(db)
        if waiting >= self._settings.flush_rows:
            self._flush()

    def _flush(self) -> None:
        snapshot = self._snapshot()
        if len(snapshot.pending.rows):
            flush_pending(self._catalogue, self._writers(), snapshot, self._settings.batch_rows)

    def _rewrite(self, segments: Sequence[SegmentRow]) -> list[int]:
        """Puts one segment in the place of several of a space; returns the memories that are gone."""
        number = segments[0].space
        space = next(space for space in self._snapshot().spaces if space.row.id == number)
        writer = self._writers()(space.row)
        removed = rewrite(self._catalogue, writer, space, segments, self._settings.batch_rows)
        return removed if number == HOME else []

    def _update_index(self) -> None:
        if self._has_index:
            update_index(self._catalogue, self._paths.index, self._snapshot())

    def _rebuild_index(self, snapshot: Snapshot) -> None:
        if self._has_index:
            rebuild_index(self._catalogue, self._paths.index, snapshot)

    @property
    def _has_index(self) -> bool:
        """Whether the text index is in files; that of an encrypted store is in the memory of its readers."""
        return self._paths.cipher is None

    def _forget_in_index(self, removed: list[int]) -> None:
        snapshot = self._snapshot()
        if snapshot.text_index is None:
            return
        if stale_records(snapshot) > self._settings.dead_share * snapshot.text_index.records:
            rebuild_index(self._catalogue, self._paths.index, snapshot)
        else:
            update_index(self._catalogue, self._paths.index, snapshot, removed)

    def _compaction_groups(self) -> list[list[SegmentRow]]:
        """Small segments together, and each larger one that holds anything forgotten."""
        groups = []
        for space in self._snapshot().spaces:
            spoilt = spoilt_segments(space)
            small = small_segments(space, self._settings)
            groups += [group for group in small if len(group) > 1 or group[0] in spoilt]
            groups += [[segment] for segment in spoilt if segment.vectors >= self._settings.batch_rows]
        return groups

    def _forget_expired(self) -> int:
        """Forgets what has expired, and what was derived from it; returns how much of it waited."""
        session, now = self._sessions.current, now_microseconds()
        expired = expired_ids(session.snapshot(), now)
        if not expired:
            return 0
        with self._catalogue.writing() as db:
            waiting = tables.last_pending(db) and len(tables.expired_pending(db, now))
            forget_in(db, session.snapshot_in(db), [*expired, *derived_from(db, expired)])
            tables.touch_layout(db)
        forget_in_journal(self._paths, expired)
        return waiting

    def _is_index_sound(self) -> bool:
        with self._catalogue.reading() as db:
            return not index_problem(db, self._paths.index)

    def _sweep_files(self, older_than_seconds: float) -> None:
        snapshot = self._snapshot()
        named = {s.name for space in snapshot.spaces for s in segments_of(space)}
        sweep_temporary(self._paths.segments)
        remove_orphans(self._paths.segments, named, older_than_seconds)
        remove_generations(self._paths.index, snapshot.text_index.generation if snapshot.text_index else None)
