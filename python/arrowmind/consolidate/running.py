"""The work of one run on the groups it has: summarise, write down, make visible."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.consolidate.budget import Budget
from arrowmind.consolidate.candidates import Grouping
from arrowmind.consolidate.payload import change_from_json, change_to_json
from arrowmind.consolidate.records import Change, Tier
from arrowmind.consolidate.reports import RunReport
from arrowmind.consolidate.summarising import Summary, Task
from arrowmind.consolidate.tiering.columns import columns_of
from arrowmind.consolidate.tiering.planning import plan_tiers
from arrowmind.errors import MemoryStoreError, ProviderError
from arrowmind.memory.steps import reached
from arrowmind.memory.times import now_microseconds
from arrowmind.observe import get_logger, metrics, record_fallback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from arrowmind.consolidate.journal import Journal, TaskRow
    from arrowmind.consolidate.records import DerivedMemory, SourceMemory
    from arrowmind.consolidate.store import KnownFact, StoreForConsolidation
    from arrowmind.consolidate.summarising import Summariser
    from arrowmind.consolidate.tiering.planning import TierLimits
    from arrowmind.consolidate.tiering.policies import Policy
    from arrowmind.observe import Progress

    FloatArray = npt.NDArray[np.float32]
    FindGroups = Callable[[Journal], list[tuple[SourceMemory, ...]]]

__all__ = ["Run", "RunSettings", "ids_of", "settle", "task_key"]

_log = get_logger(__name__)
_KNOWN_FACTS = 8
_MAX_ATTEMPTS = 5
_FAILURES_IN_A_ROW = 2


@dataclass(frozen=True)
class RunSettings:
    """What a run does.

    Attributes:
        min_access: memories recalled at least so often are consolidated.
        min_age_seconds: and at least so old.
        max_memories: looked at in one run.
        grouping: how they are grouped.
        originals: where the sources are kept afterwards.
        is_warming: whether cold memories that were recalled since come near again.
        max_tokens: of one answer of a model.
        timeout: seconds of one answer.
        budget_tokens: of a run, read and written; 0 for no bound.
        budget_seconds: of a run; 0 for no bound.
    """

    min_access: int = 2
    min_age_seconds: float = 86_400.0
    max_memories: int = 20_000
    grouping: Grouping = field(default_factory=Grouping)
    originals: Tier = Tier.COLD
    is_warming: bool = True
    max_tokens: int = 2_048
    timeout: float = 120.0
    budget_tokens: int = 0
    budget_seconds: float = 0.0


class Run:
    """One run over one store."""

    def __init__(
        self,
        store: StoreForConsolidation,
        journal: Journal,
        settings: RunSettings,
        summariser: Summariser,
        fallback: Summariser | None,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._journal = journal
        self._settings = settings
        self._summariser = summariser
        self._fallback = fallback
        self._budget = Budget(settings.budget_tokens, settings.budget_seconds, clock)
        self._failures = 0
        self.report = RunReport(run=_run_name(), made_by=summariser.name)

    def run(
        self, find_groups: FindGroups, progress: Progress, tiering: tuple[Policy, TierLimits] | None
    ) -> RunReport:
        """Finishes what was begun, then works on new groups; see `Consolidator.run`."""
        self._journal.begin_run(self.report.run, self.report.made_by)
        try:
            # First: what this run makes cold is not to come back because somebody recalls it meanwhile.
            self._warm()
            resumed = self._journal.unfinished()
            groups = find_groups(self._journal)
            self._journal.plan(
                self.report.run, [(task_key(self._store, members), ids_of(members)) for members in groups]
            )
            reached("consolidation.planned")
            old = {task.key for task in resumed}
            self._work(
                [*resumed, *(task for task in self._journal.unfinished() if task.key not in old)], progress
            )
            if tiering is not None:
                self.tier(*tiering)
            settle(self._store)
        finally:
            self._end()
        return self.report

    def _warm(self) -> None:
        """Brings back what was recalled since it became cold."""
        if self._settings.is_warming and not self.report.stopped:
            self._move("warm", dict.fromkeys(self._store.recalled_cold(), Tier.WARM))

    def tier(self, policy: Policy, limits: TierLimits) -> None:
        """Moves memories to colder tiers, as one change that undoing the run takes back, too."""
        if self.report.stopped or not limits.are_set:
            return
        moves = plan_tiers(columns_of(self._store.texts), policy, limits, now_microseconds())
        self._move("tiers", moves)

    def _move(self, kind: str, moves: dict[int, Tier]) -> None:
        if not moves:
            return
        key = f"{kind}-{self.report.run}"
        # Noted first: to undo a change that was never made does nothing.
        self._journal.plan(self.report.run, [(key, ())])
        self._journal.advance(key, self.report.run, "visible")
        reached("consolidation.tiers_noted")
        self._store.move(key, moves)
        self.report.moved += len(moves)

    def _end(self) -> None:
        report, budget = self.report, self._budget
        report.tokens_in, report.tokens_out = budget.tokens_in, budget.tokens_out
        report.seconds = budget.seconds
        self._journal.end_run(report.run, report.tokens_in, report.tokens_out, report.stopped)
        _count(report)
        told = {name: value for name, value in report.to_dict().items() if name != "planned"}
        _log.info("consolidated", store=self._store.identity, **told)

    def _work(self, tasks: Sequence[TaskRow], progress: Progress) -> None:
        self.report.groups = len(tasks)
        for number, task in enumerate(tasks):
            progress(number, len(tasks), "groups")
            if stopped := self._budget.spent():
                self.report.stopped = stopped
                return
            self._finish(task)
            if self.report.stopped:
                return
        progress(len(tasks), len(tasks), "groups")

    def _finish(self, task: TaskRow) -> None:
        """Takes a task as far as it goes."""
        found = self._store.get(task.sources)
        members = sorted(found.values(), key=lambda memory: (memory.timestamp, memory.id))
        if len(found) < len(task.sources) or task_key(self._store, members) != task.key:
            # Forgotten meanwhile, or moved to a store of another identity: nothing of it is kept.
            self._journal.drop([task.key])
            return
        change = None
        if task.payload is not None:
            change = change_from_json(task.payload, self.report.run)
        if task.state == "planned":
            change = self._generate(task, members)
        if change is None:
            return
        if task.state == "written" or (change := self._write(change)) is not None:
            self._show(change)

    def _generate(self, task: TaskRow, members: Sequence[SourceMemory]) -> Change | None:
        summary = self._summarise(task, members)
        if summary is None:
            return None
        self._budget.spend(summary.tokens_in, summary.tokens_out)
        self.report.drop(summary.dropped)
        if not summary.derived:
            self._journal.advance(task.key, self.report.run, "empty")
            self.report.empty += 1
            return None
        tiers = {member.id: max(member.tier, self._settings.originals) for member in members}
        change = Change(task.key, self.report.run, summary.derived, tiers, summary.closings)
        going_on = self._journal.advance(task.key, self.report.run, "generated", change_to_json(change))
        reached("consolidation.generated")
        return change if going_on else None

    def _summarise(self, task: TaskRow, members: Sequence[SourceMemory]) -> Summary | None:
        """By the summariser, or by the fallback where that fails or has failed too often."""
        settings, fallback = self._settings, self._fallback
        asked = Task(
            tuple(members),
            self._known(members),
            self._budget.max_tokens(settings.max_tokens),
            self._budget.timeout(settings.timeout),
        )
        if task.attempts < _MAX_ATTEMPTS and (self._failures < _FAILURES_IN_A_ROW or fallback is None):
            try:
                summary = self._summariser.summarise(asked)
            except ProviderError as error:
                self._note_failure(task, error)
                if fallback is None:
                    return None
                record_fallback("consolidation", "language model failed, extractive", error=str(error))
            else:
                self._failures = 0
                return summary
        return None if fallback is None else fallback.summarise(asked)

    def _note_failure(self, task: TaskRow, error: ProviderError) -> None:
        self._journal.fail(task.key, str(error), counts=error.is_answer)
        self._failures += 1
        if self._fallback is not None:
            return
        self.report.failed += 1
        _log.warning("group_failed", error=str(error))
        if task.attempts + error.is_answer >= _MAX_ATTEMPTS:
            self._journal.advance(task.key, self.report.run, "empty")
        if self._failures >= _FAILURES_IN_A_ROW:
            self.report.stopped = f"the language model failed: {error}"

    def _known(self, members: Sequence[SourceMemory]) -> tuple[KnownFact, ...]:
        centre = _centre(members) if self._summariser.needs_known else None
        if centre is None:
            return ()
        return tuple(self._store.known_facts(centre, members[0].namespace, _KNOWN_FACTS))

    def _write(self, change: Change) -> Change | None:
        """Adds the vectors; from then on the change is complete. None if it is out of the journal."""
        vectors = self._store.embed([memory.text for memory in change.derived])
        if vectors is None:
            derived = [
                memory if memory.vector is not None else self._centred(memory) for memory in change.derived
            ]
        else:
            derived = [
                replace(memory, vector=np.asarray(vector, np.float32))
                for memory, vector in zip(change.derived, vectors, strict=True)
            ]
        change = replace(change, derived=tuple(derived))
        going_on = self._journal.advance(change.key, self.report.run, "written", change_to_json(change))
        reached("consolidation.written")
        return change if going_on else None

    def _centred(self, memory: DerivedMemory) -> DerivedMemory:
        """Without an encoder a fact lies in the middle of what it rests on."""
        return replace(memory, vector=_centre(list(self._store.get(memory.sources).values())))

    def _show(self, change: Change) -> None:
        try:
            self._store.commit(change)
        except MemoryStoreError:
            if len(self._store.get(change.tiers)) == len(change.tiers):
                raise
            self._journal.drop([change.key])  # A source was forgotten in the meantime.
            return
        reached("consolidation.committed")
        self._journal.advance(change.key, self.report.run, "visible")
        reached("consolidation.visible")
        self.report.visible += 1
        self.report.derived += len(change.derived)
        self.report.sources += len(change.tiers)


def settle(store: StoreForConsolidation) -> None:
    """Puts bytes where tiers say; what cannot be done now waits: nothing depends on it."""
    try:
        store.settle()
    except MemoryStoreError as error:
        _log.warning("tiers_not_settled", store=store.identity, error=str(error))


def _count(report: RunReport) -> None:
    metrics.consolidation_runs.add(outcome="stopped" if report.stopped else "complete")
    for direction, tokens in (("read", report.tokens_in), ("written", report.tokens_out)):
        metrics.consolidation_tokens.add(tokens, direction=direction)
    counts = {"derived": report.derived, "source": report.sources, "moved": report.moved}
    for what, count in {**counts, "unproved": sum(report.dropped.values())}.items():
        metrics.consolidation_memories.add(count, what=what)


def _centre(members: Sequence[SourceMemory]) -> FloatArray | None:
    vectors = [member.vector for member in members if member.vector is not None]
    centre = np.mean(vectors, axis=0) if vectors else np.zeros(1)
    length = float(np.linalg.norm(centre))
    return (centre / length).astype(np.float32) if length > 0 else None


def task_key(store: StoreForConsolidation, members: Sequence[SourceMemory]) -> str:
    """Hash of the store and of the memories of a group, in any order: the same group is one task for ever."""
    digest = hashlib.sha256(store.identity.encode())
    for member in sorted(members, key=lambda memory: memory.id):
        text = hashlib.sha256(member.text.encode("utf-8", "surrogatepass")).hexdigest()
        digest.update(f"\n{member.id} {text}".encode())
    return digest.hexdigest()


def ids_of(members: Sequence[SourceMemory]) -> tuple[int, ...]:
    """Ids of a group, ascending."""
    return tuple(sorted(member.id for member in members))


def _run_name() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
