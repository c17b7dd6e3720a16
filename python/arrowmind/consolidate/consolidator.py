"""Consolidation of one store: what would be done, doing it, taking it back."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from arrowmind.consolidate.candidates import group
from arrowmind.consolidate.journal import Journal
from arrowmind.consolidate.reports import PlannedGroup, RunReport
from arrowmind.consolidate.running import Run, RunSettings, ids_of, settle, task_key
from arrowmind.consolidate.store import Wanted
from arrowmind.errors import ConsolidationError
from arrowmind.memory.steps import reached
from arrowmind.memory.storage.lock import try_lock
from arrowmind.memory.times import now_microseconds
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arrowmind.consolidate.records import SourceMemory
    from arrowmind.consolidate.store import StoreForConsolidation
    from arrowmind.consolidate.summarising import Summariser
    from arrowmind.consolidate.tiering.planning import TierLimits
    from arrowmind.consolidate.tiering.policies import Policy
    from arrowmind.observe import Progress

__all__ = ["Consolidator"]

_MICROSECONDS = 1_000_000


class Consolidator:
    """Consolidates one store.

    Args:
        store: the memories.
        summariser: turns groups into few.
        settings: what a run does.
        fallback: takes over where the summariser fails; None leaves such groups for another run.
        tiering: policy and bounds by which memories get colder after the groups; None moves none.
        clock: seconds that only grow, of the budget; for tests.
    """

    def __init__(
        self,
        store: StoreForConsolidation,
        summariser: Summariser,
        settings: RunSettings,
        *,
        fallback: Summariser | None = None,
        tiering: tuple[Policy, TierLimits] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._summariser = summariser
        self._settings = settings
        self._fallback = fallback
        self._tiering = tiering
        self._clock = clock

    def plan(self) -> RunReport:
        """What a run would do; nothing is written, no model is asked."""
        groups = self._groups(None)
        shown = [
            PlannedGroup(ids_of(members), sum(len(one.text) for one in members), members[0].text[:80])
            for members in groups
        ]
        made_by = self._summariser.name
        return RunReport(made_by=made_by, groups=len(groups), sources=sum(map(len, groups)), planned=shown)

    def run(self, progress: Progress = no_progress) -> RunReport:
        """Consolidates until nothing is left or the budget is spent.

        Killed at any moment, the next run goes on where this one was. No memory is lost, nothing is there
        twice.

        Args:
            progress: called with (groups done, all groups, "groups").

        Raises:
            ConsolidationError: another process consolidates this store.
            MemoryStoreError: the store cannot be read or written.
        """
        with self._journal() as journal:
            work = Run(self._store, journal, self._settings, self._summariser, self._fallback, self._clock)
            return work.run(self._groups, progress, self._tiering)

    def undo(self, run: str | None = None) -> RunReport:
        """Takes a run back: what it derived goes, its sources return to their tiers.

        Args:
            run: its name; None takes the last one that made anything visible.

        Raises:
            ConsolidationError: there is no such run, or another process consolidates this store.
        """
        with self._journal() as journal:
            name, keys = _undoable(journal, run)
            count = self._store.undo(keys)
            reached("consolidation.undone")
            journal.mark_undone(keys)
            settle(self._store)
        return RunReport(run=name, groups=len(keys), visible=count)

    @contextlib.contextmanager
    def _journal(self) -> Iterator[Journal]:
        with try_lock(self._store.paths.consolidation_lock) as taken:
            if not taken:
                raise ConsolidationError(
                    f"{self._store.paths.root}: another process consolidates this store; wait for it to end"
                )
            paths = self._store.paths
            with Journal(paths.journal, paths.database_key) as journal:
                yield journal

    def _groups(self, journal: Journal | None) -> list[tuple[SourceMemory, ...]]:
        """New groups; those that the journal knows were tried, undone or are on their way."""
        settings = self._settings
        before = now_microseconds() - round(settings.min_age_seconds * _MICROSECONDS)
        wanted = Wanted(settings.min_access, before, settings.max_memories)
        found = self._store.candidates(wanted)
        if journal is None:
            return group(found, self._store.nearest, settings.grouping)
        taken = journal.taken()
        free = [memory for memory in found if memory.id not in taken]
        groups = group(free, self._store.nearest, settings.grouping)
        return [members for members in groups if journal.find(task_key(self._store, members)) is None]


def _undoable(journal: Journal, run: str | None) -> tuple[str, list[str]]:
    names = [row.id for row in journal.runs()] if run is None else [run]
    for name in names:
        if keys := journal.visible(name):
            return name, keys
    raise ConsolidationError(
        "no run has made anything visible" if run is None else f"run {run!r} has nothing to be undone"
    )
