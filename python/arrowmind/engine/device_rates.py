"""How fast a device reads weights, and how fast they come to it: measured by products of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.engine.device_probe import open_device
from arrowmind.engine.machine import probe_weights
from arrowmind.engine.rates import DeviceRates

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["measure_device"]

_OUTPUTS, _COLUMNS = 8192, 8192  # 64 MiB: more than the caches of most devices
_PROMPT = 128
_ROUNDS = 5
# Products that follow each other where weights pass: one more than there are places for.
_PASSING = 3


def measure_device(name: str, outputs: int = _OUTPUTS, columns: int = _COLUMNS) -> DeviceRates:
    """Bytes of INT8 weights per second that products read there, and that come over its bus.

    The best of five rounds of each.

    Args:
        name: of a device, such as `cuda:0`.
        outputs: rows of the weights.
        columns: of the weights.

    Raises:
        DeviceError: it cannot be opened, or has no room for the weights.
    """
    device = open_device(name)
    memory = _native.CachingAllocator(device)
    codes = np.resize(np.arange(-127, 128, dtype=np.int8), (outputs, columns))
    once, often = _product_rates(device, codes, memory)
    return DeviceRates(once, often, _bus_rate(device, codes[: outputs // 2], memory))


def _product_rates(
    device: _native.Device, codes: NDArray[np.int8], memory: _native.CachingAllocator
) -> tuple[float, float]:
    """Of one row, and of many."""
    there = _native.DevicePlan(_products(codes), _native.DeviceWeights(device), memory)

    def rate(rows: int) -> float:
        given = np.ones((rows, codes.shape[1]), np.float32)
        best = min(sum(took for _, took in there.time_rows(given)) for _ in range(_ROUNDS))
        return codes.nbytes * rows / (max(1, best) * 1e-9)

    return rate(1), rate(_PROMPT)


def _bus_rate(device: _native.Device, codes: NDArray[np.int8], memory: _native.CachingAllocator) -> float:
    """Of weights that pass, with one row, so that nothing else takes time."""
    weights = _native.DeviceWeights(device)
    there = _native.DevicePlan(_products(codes, _PASSING), weights, memory, passes=True)
    row = np.ones((1, codes.shape[1]), np.float32)
    best = 0.0
    for _ in range(_ROUNDS):
        before, started = there.sent_bytes, time.perf_counter()
        there.run_rows(row)
        best = max(best, (there.sent_bytes - before) / (time.perf_counter() - started))
    return best


def _products(codes: NDArray[np.int8], count: int = 1) -> _native.Plan:
    """From rows to codes to their product with weights, so many times."""
    outputs, columns = codes.shape
    plan = _native.Plan(1, 1, outputs)
    rows, coded = plan.buffer("fp32", columns), plan.buffer("int8", columns)
    result = plan.buffer("fp32", outputs)
    plan.source(rows)
    plan.quantise(rows, coded)
    for _ in range(count):
        plan.border()
        plan.linear([probe_weights(codes.copy() if count > 1 else codes)], coded, result)
    plan.result(result)
    plan.finish()
    return plan
