"""What a device can do at most: memory of its own, and copies from and to the host."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind import _native

__all__ = ["measure_limits"]

_ROUNDS = 7


def measure_limits(device: _native.Device, size: int) -> dict[str, float]:
    """Bytes per second.

    Args:
        device: The device.
        size: Bytes of a copy: more than its caches hold.

    Returns:
        `memory`: read and written within the device; `copy_in` and `copy_out`: of ordinary host memory.

    Raises:
        DeviceError: It failed.
    """
    stream = device.stream()
    one, other = device.allocate(size), device.allocate(size)
    host = np.ones(size, np.uint8)
    stream.copy_in(one, 0, host)

    def within() -> None:
        stream.copy_within(other, 0, one, 0, size)

    return {
        "memory": 2 * size / _seconds(device, stream, within),
        "copy_in": size / _seconds(device, stream, lambda: stream.copy_in(one, 0, host)),
        "copy_out": size / _seconds(device, stream, lambda: stream.copy_out(host, one, 0)),
    }


def _seconds(device: _native.Device, stream: _native.DeviceStream, work: Callable[[], None]) -> float:
    """Median of the device's own time and the caller's, whichever is longer: copies may wait for the host."""
    found = []
    for _ in range(_ROUNDS):
        before, after = device.event(), device.event()
        stream.synchronise()
        started = time.perf_counter()
        stream.record(before)
        work()
        stream.record(after)
        stream.synchronise()
        waited = time.perf_counter() - started
        own = before.nanoseconds_until(after) / 1e9
        found.append(own if own > waited / 2 else waited)
    return statistics.median(found)
