"""Gives memory back when others on the machine, or in the container, need it; takes it again later.

A source tells how much is left before the tightest limit, a policy says what budget follows, and a thread
asks both now and then.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

from arrowmind.engine.endings import before_exit
from arrowmind.frozen import dataclass
from arrowmind.observe import get_logger, metrics

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable

    from arrowmind import _native
    from arrowmind.config import ResidencySettings

__all__ = ["Figures", "Holder", "PressurePolicy", "PressureWatch", "ResidencyHolder"]

_log = get_logger("arrowmind.engine")
# Looks without pressure before memory is taken again: what was just given back may be needed once more.
_CALM_LOOKS = 3
# A step down, and one up, at least and at most these parts of the whole budget.
_LEAST_DOWN, _MOST_UP = 16, 8


@dataclass(frozen=True)
class Figures:
    """How much memory is left.

    Attributes:
        available: bytes that can still be taken before the tightest limit.
        total: bytes of that limit.
        stalled: share of the last ten seconds, in percent, in which something waited for memory.
        own: bytes of this process.
    """

    available: int
    total: int
    stalled: float = 0.0
    own: int = 0


class Holder(Protocol):
    """Who holds memory within a budget that can change."""

    @property
    def budget(self) -> int:
        """Bytes it may hold now."""

    @property
    def least(self) -> int:
        """Bytes below which it cannot work."""

    def set_budget(self, size: int) -> None:
        """Gives back what is beyond `size`, or may take more."""

    def trim(self) -> None:
        """Gives back what is not used at all."""


class PressurePolicy:
    """What budget follows from how much is left: never more than was promised, nor less than is needed.

    A control group that is as large as the promise is full when the promise is used, and that is no pressure:
    there is some only where others have taken of what was promised to this process.
    """

    def __init__(self, settings: ResidencySettings, most: int, promise: int | None = None) -> None:
        """Begins without pressure.

        Args:
            settings: the bounds.
            most: bytes of the whole budget.
            promise: bytes that the process may have; None takes all that is left as pressed.
        """
        self._settings, self._most, self._promise = settings, most, promise
        self._calm = 0

    def is_pressed(self, figures: Figures) -> bool:
        """Whether others need memory."""
        settings, share = self._settings, figures.available / max(1, figures.total)
        promised = (1 - settings.pressure_low) * (self._promise or 0)
        if self._promise is not None and figures.available + figures.own >= promised:
            return False
        stalls = figures.stalled > settings.pressure_stalled and share < settings.pressure_high
        return share < settings.pressure_low or stalls

    def budget(self, figures: Figures, now: int, least: int) -> int:
        """The budget from here on.

        Args:
            figures: how much is left.
            now: the budget so far.
            least: what it must not fall below.
        """
        high = int(self._settings.pressure_high * figures.total)
        if self.is_pressed(figures):
            self._calm = 0
            step = max(high - figures.available, self._most // _LEAST_DOWN)
            return max(least, now - step)
        self._calm += 1
        room = figures.available - high
        if self._calm <= _CALM_LOOKS or room <= 0 or now >= self._most:
            return now
        return min(self._most, now + min(room, max(1, self._most // _MOST_UP)))


class ResidencyHolder:
    """The parts of a model that come and go, and the free pages of its caches."""

    def __init__(self, residency: _native.Residency | None) -> None:
        """Holds the parts; None where all of them stay."""
        self._residency = residency
        self._caches: list[weakref.ref[Trimmed]] = []

    def add_cache(self, cache: weakref.ref[Trimmed]) -> None:
        """Another cache, which may go before this holder does."""
        self._caches.append(cache)

    @property
    def budget(self) -> int:
        """As of `Holder`."""
        return 0 if self._residency is None else self._residency.budget

    @property
    def least(self) -> int:
        """As of `Holder`."""
        return 0 if self._residency is None else self._residency.needed_bytes

    def set_budget(self, size: int) -> None:
        """As of `Holder`."""
        if self._residency is not None:
            self._residency.set_budget(size)

    def trim(self) -> None:
        """As of `Holder`."""
        for cache in self._caches:
            if (found := cache()) is not None:
                found.trim()


class Trimmed(Protocol):
    """A cache."""

    def trim(self) -> None:
        """Gives free pages back."""


class PressureWatch:
    """A thread that looks at the pressure, and lets a holder follow a policy."""

    def __init__(
        self,
        holder: Holder,
        source: Callable[[], Figures | None],
        settings: ResidencySettings,
        name: str = "",
        promise: int | None = None,
    ) -> None:
        """Does nothing before `start`.

        Args:
            holder: of the memory; its budget now is the most it gets.
            source: of figures; None for none to be had.
            settings: how often to look, and bounds.
            name: of the model, in metrics and logs.
            promise: bytes that the process may have.
        """
        self._holder, self._source, self._name = holder, source, name
        self._policy = PressurePolicy(settings, holder.budget, promise)
        self._seconds = settings.pressure_seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to look."""
        self._thread = threading.Thread(target=self._run, name="arrowmind-pressure", daemon=True)
        self._thread.start()
        before_exit(self, PressureWatch.stop)

    def stop(self) -> None:
        """Ends the thread; a look that is under way ends first."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def look(self) -> None:
        """Looks once."""
        figures = self._source()
        if figures is None:
            return
        metrics.available_memory.set(figures.available)
        if self._policy.is_pressed(figures):
            self._holder.trim()
        before, least = self._holder.budget, self._holder.least
        after = self._policy.budget(figures, before, least)
        if after == before:
            return
        self._holder.set_budget(after)
        what = "given_back" if after < before else "taken_again"
        metrics.pressure_events.add(model=self._name, what=what)
        told = {"budget": after, "before": before, "available": figures.available, "stalled": figures.stalled}
        if after < before:
            _log.warning("memory is short: parts of the model are given back", model=self._name, **told)
        else:
            _log.info("memory is there again", model=self._name, **told)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            with contextlib.suppress(Exception):  # of the source, or of a model that is going
                self.look()
