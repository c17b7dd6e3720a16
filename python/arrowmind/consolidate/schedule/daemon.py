"""The loop that waits for the next run.

It wakes at least once a minute and looks at the clock on the wall, so a clock that jumps, or a machine that
slept, is noticed then. Ahead: what was due meanwhile runs once. Back by up to a day: what ran does not run
again. Back by more: the clock was wrong before, and it begins anew. What is due while a run goes on is passed
over.
"""

from __future__ import annotations

import contextlib
import queue
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from arrowmind.errors import OptimizationError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind.consolidate.schedule.cron import CronSchedule
    from arrowmind.consolidate.schedule.pressure import PressureTrigger

__all__ = ["Daemon"]

_log = get_logger(__name__)
_LOOK_SECONDS = 60.0
_TRUSTED_JUMP = timedelta(days=1)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Daemon:
    """Runs consolidation when it is due. One run at a time; one that fails is logged, and the next comes.

    Args:
        work: one run; is told why.
        schedule: when; None for pressure alone.
        pressure: bound of the store; None for the schedule alone.
        size: bytes of the store.
        now: the clock on the wall; for tests.
    """

    def __init__(
        self,
        work: Callable[[str], None],
        schedule: CronSchedule | None,
        pressure: PressureTrigger | None,
        size: Callable[[], int],
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._work = work
        self._schedule = schedule
        self._pressure = pressure
        self._size = size
        self._now = now
        self._seen = now()
        self._is_stopped = False
        # Not an event: a handler of signals runs amid the waiting thread's own code, and may find the lock of
        # an event held by it, for ever. A simple queue may be put to from anywhere.
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def stop(self) -> None:
        """Ends `run` soon; a run of consolidation that is going on ends first. For signal handlers, too."""
        self._is_stopped = True
        self._woken.put(None)

    def run(self, wait: Callable[[float], object] | None = None) -> None:
        """Goes on until it is stopped.

        Args:
            wait: sleeps so many seconds, or less when stopped; for tests.
        """
        sleep = wait or self._sleep
        _log.info(
            "waiting", schedule=self._schedule.line if self._schedule else "", next=str(self.next_due())
        )
        while not self._is_stopped:
            if reason := self.due():
                self._begin(reason)
            else:
                sleep(self._pause())

    def next_due(self) -> datetime | None:
        """When the schedule is due next."""
        return None if self._schedule is None else self._schedule.next_after(self._seen)

    def due(self) -> str:
        """Why to run now; empty if there is no reason. Asking takes the reason away."""
        now = self._now()
        if now < self._seen - _TRUSTED_JUMP:
            _log.warning("clock_went_back", seen=str(self._seen), now=str(now), action="begin anew")
            self._seen = now
        due = self.next_due()
        if due is not None and due <= now:
            self._seen = now
            return "schedule"
        self._seen = max(self._seen, now)
        if self._pressure is not None and self._pressure.fires(self._size()):
            return "pressure"
        return ""

    def _begin(self, reason: str) -> None:
        _log.info("run_begins", reason=reason)
        try:
            self._work(reason)
        except OptimizationError as error:
            _log.error("run_failed", reason=reason, error=str(error))
        self._seen = max(self._seen, self._now())

    def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(queue.Empty):
            self._woken.get(timeout=seconds)

    def _pause(self) -> float:
        due = self.next_due()
        left = _LOOK_SECONDS if due is None else (due - self._now()).total_seconds()
        return min(max(left, 0.1), _LOOK_SECONDS)
