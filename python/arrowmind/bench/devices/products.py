"""Products of rows with matrices of every width, by the kernels of plans, beside the device's memory."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.bench.devices.matrices import meets_codes, plan_of, random_matrix
from arrowmind.errors import DeviceUnsupportedError, OptimizationError
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.observe import Progress

__all__ = ["Absent", "Product", "measure_products"]

_ROUNDS = 9
_CHECKED = 64
# Of the largest value of a product, by what its kernel makes of rows: floats for sums in any order,
# k * 2^-24; codes, of which one may be its neighbour; bfloat16.
_TOLERANCE = {"f32": 1e-3, "i8b": 1e-3, "i8": 2e-2, "bf16": 2e-2}


@dataclass(frozen=True)
class Product:
    """One kernel on one shape.

    Attributes:
        width: One of `WIDTHS`.
        rows: Rows of activations.
        outputs: Rows of the matrix.
        inputs: Its columns.
        precision: `int8` where rows become codes; else `float32`, or `mixed`: as `device.precision` says.
            Mixed rounds more than eight rows to bfloat16; the kernel's name tells.
        kernel: Name of the kernel, that of its tiles for most rows.
        seconds: Median device time.
        bytes_per_s: Of weights with their scales, activations and results.
        operations_per_s: Two for each weight and row.
        share: Of the device's memory bandwidth.
        tensor_share: Of its rate for bf16; None where that was not measured.
    """

    width: str
    rows: int
    outputs: int
    inputs: int
    precision: str
    kernel: str
    seconds: float
    bytes_per_s: float
    operations_per_s: float
    share: float
    tensor_share: float | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Absent:
    """What the device has no kernel for.

    Attributes:
        width: One of `WIDTHS`.
        precision: As of `Product`.
        why: In the words of the device.
    """

    width: str
    precision: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_products(
    device: _native.Device,
    shapes: Sequence[tuple[int, int]],
    rows: Sequence[int],
    widths: Sequence[str],
    memory: float,
    cached: int,
    progress: Progress = no_progress,
    *,
    tensor: float | None = None,
) -> tuple[list[Product], list[Absent]]:
    """Times every width on every shape, each answer checked against the CPU.

    Args:
        device: The device.
        shapes: Outputs and inputs.
        rows: Rows of activations.
        widths: Of `WIDTHS`.
        memory: Its bandwidth in bytes per second.
        cached: Bytes that its caches may hold: copies of the matrix take turns until they are more.
        progress: Told of each shape.
        tensor: Its operations per second for bf16, if they were measured.

    Returns:
        Products, and those that the device has no kernel for.

    Raises:
        OptimizationError: A kernel gave a wrong answer.
        DeviceError: The device failed.
    """
    found: list[Product] = []
    absent: dict[Absent, None] = {}
    for done, shape in enumerate(shapes):
        for width in widths:
            made, missing = _of_width(device, width, shape, rows, memory, cached)
            found += [replace(one, tensor_share=tensor and one.operations_per_s / tensor) for one in made]
            absent.update(dict.fromkeys(missing))
        progress(done + 1, len(shapes), "shapes")
    return found, list(absent)


def _of_width(
    device: _native.Device,
    width: str,
    shape: tuple[int, int],
    rows: Sequence[int],
    memory: float,
    cached: int,
) -> tuple[list[Product], list[Absent]]:
    tensor = random_matrix(width, shape)
    size = sum(buffer.nbytes for buffer in tensor.buffers() if buffer is not None)
    plan = plan_of(tensor, shape, min(64, 1 + cached // size))
    ways, absent = _ways(device, width, plan)
    threads = _native.ThreadPool(_native.available_cpus())
    found = []
    for count in rows:
        x = np.random.default_rng(count).standard_normal((count, shape[1])).astype(np.float32)
        some = _some(count)  # rows do not depend on each other
        expected = plan.run_rows(x[some], threads)
        for precision, placed in ways.items():
            name, seconds = _time(placed, x)
            _check(width, name, expected, placed.run_rows(x)[some])
            speed = (size + x.nbytes + 4 * count * shape[0]) / seconds
            rate = 2 * count * shape[0] * shape[1] / seconds
            found.append(
                Product(width, count, *shape, precision, name, seconds, speed, rate, speed / memory, None)
            )
    return found, absent


def _ways(
    device: _native.Device, width: str, plan: _native.Plan
) -> tuple[dict[str, _native.DevicePlan], list[Absent]]:
    """The plan there in each precision that the device has; and those that it has not, with its words."""
    weights, room = _native.DeviceWeights(device), _native.CachingAllocator(device)
    plain = "int8" if meets_codes(width) else "float32"
    try:
        ways = {plain: _native.DevicePlan(plan, weights, room)}
    except DeviceUnsupportedError as error:
        return {}, [Absent(width, plain, str(error))]
    if meets_codes(width):
        return ways, []  # there is nothing to round
    (kernel,) = (name for name in ways[plain].kernels() if name.startswith("linear_"))
    try:
        device.kernel(kernel.replace("linear_f32_", "linear_bf16_"))
    except DeviceUnsupportedError as error:
        return ways, [Absent(width, "mixed", str(error))]
    return {**ways, "mixed": _native.DevicePlan(plan, weights, room, mixed=True)}, []


def _some(count: int) -> list[int]:
    """Rows that are checked: all of a few, else the first and the last."""
    if count <= 2 * _CHECKED:
        return list(range(count))
    return [*range(_CHECKED), *range(count - _CHECKED, count)]


def _check(width: str, kernel: str, expected: Any, found: Any) -> None:
    tolerance = _TOLERANCE[kernel.split("_")[1]] * float(np.abs(expected).max())
    worst = float(np.abs(found - expected).max())
    if not worst <= tolerance:
        raise OptimizationError(
            f"[bench] {width}: the device is {worst} off the CPU, above {tolerance}; {kernel} is wrong"
        )


def _time(placed: _native.DevicePlan, x: Any) -> tuple[str, float]:
    """The kernel of the products, and the median time of one."""
    placed.time_rows(x)
    took: list[int] = []
    for _ in range(_ROUNDS):
        steps = [step for step in placed.time_rows(x) if step[0].startswith("linear_")]
        took += [nanoseconds for _, nanoseconds in steps]
    return steps[0][0], max(statistics.median(took), 1) / 1e9
