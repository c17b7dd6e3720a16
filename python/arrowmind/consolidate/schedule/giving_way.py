"""Rests while others recall: what a process of the lowest priority still takes from them.

A scheduler gives the last in the queue its share now and then, some milliseconds at a time, and work on the
other processor takes caches and memory. Only work that rests of its own accord costs a recall nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RecallGate"]

# Pieces of work shorter than this are put together: to look costs some microseconds.
_LEAST_SECONDS = 0.002
_POLL_SECONDS = 0.002
# Who has asked once often asks again when they have read the answer.
_QUIET_SECONDS = 0.01
# However long a piece of work was.
_LONGEST_REST_SECONDS = 1.0


class RecallGate:
    """Rests, between two pieces of work, while recalls are under way; but a busy server stops no work.

    After each piece it rests until no recall has been under way for 10 ms, and for so long at most that its
    work keeps its share of the time.

    Args:
        is_busy: whether a recall is under way.
        least_share: of the time that is worked in any case, above 0; 1 never rests.
        clock: seconds that only grow; for tests.
        spent: seconds of processors that this process has taken, which are its work; for tests.
        sleep: waits so many seconds; for tests.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool],
        least_share: float,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.process_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._is_busy = is_busy
        self._most_rest = (1 - least_share) / least_share
        self._clock = clock
        self._spent = spent
        self._sleep = sleep
        self._spent_before = spent()
        self.rested = 0.0

    def __call__(self) -> None:
        """Between two pieces of work."""
        worked = self._spent() - self._spent_before
        if worked < _LEAST_SECONDS:
            return
        began = now = self._clock()
        last_busy = None
        ends = began + min(worked * self._most_rest, _LONGEST_REST_SECONDS)
        while now < ends:
            if self._is_busy():
                last_busy = now
            elif last_busy is None or now - last_busy >= _QUIET_SECONDS:
                break
            self._sleep(_POLL_SECONDS)
            now = self._clock()
        self.rested += now - began
        self._spent_before = self._spent()
