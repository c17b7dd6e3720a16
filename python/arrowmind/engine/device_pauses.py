"""When a device is left alone: for a while after it failed, and while others fill it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arrowmind.errors import (
    DeviceError,
    DeviceLaunchError,
    DeviceLostError,
    DeviceMemoryError,
    DeviceUnsupportedError,
)
from arrowmind.observe import record_fallback

if TYPE_CHECKING:
    from arrowmind.engine.opened_device import OpenedDevice

__all__ = ["Fullness", "Rest", "reason_of"]

# After a failure the CPU serves for so long, twice as long after each further one.
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 1.0, 60.0
# How often the device is asked how full it is.
_ASK_SECONDS = 0.25

_REASONS: tuple[tuple[type[DeviceError], str], ...] = (
    (DeviceMemoryError, "out of memory"),
    (DeviceLaunchError, "a kernel did not run"),
    (DeviceLostError, "the device was lost"),
    (DeviceUnsupportedError, "it has no kernel for the model"),
    (DeviceError, "the device failed"),
)


def reason_of(error: DeviceError) -> str:
    """Why a device failed, in few words: one of some that are counted."""
    return next(reason for kind, reason in _REASONS if isinstance(error, kind))


class Rest:
    """After a failure. Who changes it holds the lock of the host."""

    def __init__(self) -> None:
        """Nothing failed yet."""
        self._until = 0.0
        self._length = _FIRST_REST_SECONDS

    @property
    def lasts(self) -> bool:
        """Whether it goes on."""
        return time.monotonic() < self._until

    def begin(self) -> None:
        """Another failure."""
        self._until = time.monotonic() + self._length
        self._length = min(2 * self._length, _LONGEST_REST_SECONDS)

    def forget(self) -> None:
        """The device served."""
        self._length = _FIRST_REST_SECONDS


class Fullness:
    """Whether more of a device is taken, by whoever, than may be. Used under the lock of the host."""

    def __init__(self, name: str, most_used: float) -> None:
        """Asks nothing yet.

        Args:
            name: of the device.
            most_used: share of its memory.
        """
        self._name, self._most_used = name, most_used
        self._asked_at = -_ASK_SECONDS
        self._is_full = False

    def of(self, opened: OpenedDevice) -> bool:
        """As it was when it was last asked, a moment ago at most; becoming full is told."""
        now = time.monotonic()
        if self._most_used >= 1.0 or now - self._asked_at < _ASK_SECONDS:
            return self._is_full
        self._asked_at = now
        was_full = self._is_full
        self._is_full = _used(opened) > self._most_used
        if self._is_full:
            opened.give_way()  # what is kept for later may be all there is to it
            self._is_full = _used(opened) > self._most_used
        if self._is_full and not was_full:
            record_fallback("device", "its memory is nearly full", device=self._name, used="cpu")
        return self._is_full


def _used(opened: OpenedDevice) -> float:
    free, total = opened.device.memory()
    return 1.0 - free / total if total > 0 else 0.0
