"""How fast a device reads weights: measured by a product of its own, between events of its stream."""

from __future__ import annotations

import numpy as np

from arrowmind import _native
from arrowmind.engine.device_probe import open_device
from arrowmind.engine.planning import DeviceRates
from arrowmind.weights.tensor import int8_tensor

__all__ = ["measure_device"]

_OUTPUTS, _COLUMNS = 8192, 8192  # 64 MiB: more than the caches of most devices
_PROMPT = 128
_ROUNDS = 5


def measure_device(name: str, outputs: int = _OUTPUTS, columns: int = _COLUMNS) -> DeviceRates:
    """Bytes of INT8 weights per second that products read there; the best of five.

    Args:
        name: of a device, such as `cuda:0`.
        outputs: rows of the weights.
        columns: of the weights.

    Raises:
        DeviceError: it cannot be opened, or has no room for the weights.
    """
    device = open_device(name)
    memory, weights = _native.CachingAllocator(device), _native.DeviceWeights(device)
    there = _native.DevicePlan(_product(outputs, columns), weights, memory)

    def rate(rows: int) -> float:
        given = np.ones((rows, columns), np.float32)
        best = min(sum(took for _, took in there.time_rows(given)) for _ in range(_ROUNDS))
        return outputs * columns * rows / (max(1, best) * 1e-9)

    return DeviceRates(rate(1), rate(_PROMPT))


def _product(outputs: int, columns: int) -> _native.Plan:
    """From rows to codes to their product with weights."""
    codes = np.resize(np.arange(-127, 128, dtype=np.int8), (outputs, columns))
    tensor = int8_tensor("probe.weight", codes, np.ones(outputs, np.float32), activation="int8")
    described: dict[str, object] = {
        "type": "int8",
        "shape": tensor.spec.shape,
        "codes": tensor.codes,
        "scales": tensor.scales,
        "zero_points": None,
        "sums": tensor.sums,
        "bias": None,
    }
    plan = _native.Plan(1, 1, outputs)
    rows, coded = plan.buffer("fp32", columns), plan.buffer("int8", columns)
    result = plan.buffer("fp32", outputs)
    plan.source(rows)
    plan.quantise(rows, coded)
    plan.linear([described], coded, result)
    plan.result(result)
    plan.finish()
    return plan
