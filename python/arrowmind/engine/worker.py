"""The one thread that runs a decoder: others hand it sequences and take their tokens."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from arrowmind.engine.endings import before_exit
from arrowmind.errors import OverloadError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from arrowmind.engine.jobs import Job
    from arrowmind.engine.scheduling import Schedule

__all__ = ["DecodeWorker"]

_log = get_logger("arrowmind.engine")
# The thread leaves when it had nothing to do for so long, so that an engine nobody uses can go.
_IDLE_SECONDS = 1.0


class DecodeWorker:
    """Runs a schedule while it holds sequences. Its methods may be called from any thread."""

    def __init__(self, schedule: Schedule) -> None:
        """Nothing runs before the first sequence comes."""
        self._schedule = schedule
        self._wake = threading.Condition()
        self._arrived: list[Job] = []
        self._thread: threading.Thread | None = None
        self._is_closed = False
        before_exit(self, DecodeWorker.close)

    @property
    def waiting(self) -> int:
        """Sequences that wait to be run."""
        return len(self._arrived) + self._schedule.waiting

    @property
    def running(self) -> int:
        """Sequences that are run."""
        return self._schedule.running

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more."""
        return self._is_closed

    def submit(self, job: Job, most_waiting: int | None = None) -> None:
        """Queues a sequence.

        Args:
            job: The sequence; its consumer is called from the worker's thread.
            most_waiting: Refuse it if so many wait already; None is no bound.

        Raises:
            OverloadError: Too many wait, or the worker was closed.
        """
        with self._wake:
            if self._is_closed:
                raise OverloadError("the engine was closed; open it again")
            if most_waiting is not None and self.waiting >= most_waiting:
                raise OverloadError(
                    f"{self.waiting} texts wait already, and {most_waiting} may; try again later"
                )
            self._arrived.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="arrowmind-decode", daemon=True)
                self._thread.start()
            self._wake.notify()

    def cancel(self, job: Job) -> None:
        """Ends a sequence that nobody wants any more; its pages are freed after the step that runs."""
        job.is_cancelled = True

    def close(self) -> None:
        """Ends all sequences with OverloadError and takes no more."""
        with self._wake:
            self._is_closed = True
            thread = self._thread
            self._wake.notify()
        if thread is None:
            self._schedule.close(_closed())
        elif thread is not threading.current_thread():
            thread.join()

    def _work(self) -> None:
        while self._collect():
            try:
                self._schedule.step()
            except Exception as error:
                _log.exception("the scheduler failed; its sequences end")
                with contextlib.suppress(Exception):  # all of it may be broken
                    self._schedule.close(error)

    def _collect(self) -> bool:
        """Takes over what arrived, waiting for it if there is nothing else to do; False: leave."""
        with self._wake:
            busy = bool(self._schedule.running or self._schedule.waiting)
            while not (busy or self._arrived or self._is_closed):
                if not self._wake.wait(_IDLE_SECONDS) and not (self._arrived or self._is_closed):
                    self._thread = None
                    return False
            for job in self._arrived:
                self._schedule.add(job)
            self._arrived.clear()
            if self._is_closed:
                self._schedule.close(_closed())
                self._thread = None
            return not self._is_closed


def _closed() -> OverloadError:
    return OverloadError("the engine was closed before the text was complete; open it again")
