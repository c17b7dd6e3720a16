"""Products of rows with matrices of every width, by the kernels of plans, beside the device's memory."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.engine.layers import LayerBuilder, Options
from arrowmind.errors import DeviceUnsupportedError, OptimizationError
from arrowmind.models.spec import Linear
from arrowmind.observe import no_progress
from arrowmind.weights import WeightSource
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor, int8_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.observe import Progress
    from arrowmind.weights.tensor import TensorSpec

__all__ = ["WIDTHS", "Product", "measure_products"]

WIDTHS = ("fp16", "bf16", "int8", "int8-int8", "int4", "int2", "mxfp4")
_GRIDS = {"int4": ("int4", 32, "fp16", 16), "int2": ("int2", 64, "fp16", 4), "mxfp4": ("fp4", 32, "e8m0", 16)}
_ROUNDS = 9
_CHECKED = 64
# Of the largest value of a product, for sums in any order: k * 2^-24, with room for activations as codes.
_TOLERANCE = {"fp32": 1e-3, "int8": 2e-2, "mixed": 2e-2}
# Fewer rows are multiplied as float32 in either precision.
_MIXED_ROWS = 9


@dataclass(frozen=True)
class Product:
    """One kernel on one shape.

    Attributes:
        width: One of `WIDTHS`.
        rows: Rows of activations.
        outputs: Rows of the matrix.
        inputs: Its columns.
        precision: `float32`, or `mixed`: rows rounded to bfloat16.
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


class _Copies(WeightSource):
    """One matrix under many names, each with buffers of its own."""

    kind = "memory"

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._made: dict[str, Tensor] = {}

    def names(self) -> list[str]:
        return list(self._made)

    def has(self, name: str) -> bool:
        return not name.endswith(".input_scale")

    def spec(self, name: str) -> TensorSpec:
        return self.tensor(name).spec

    def tensor(self, name: str) -> Tensor:
        if name not in self._made:
            one = self._tensor
            scales, zeros, sums, outer = (
                None if buffer is None else buffer.copy()
                for buffer in (one.scales, one.zero_points, one.sums, one.outer_scales)
            )
            self._made[name] = Tensor(one.spec, one.codes.copy(), scales, zeros, sums, outer)
        return self._made[name]

    def input_scale(self, name: str) -> None:
        del name

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        return {}

    def close(self) -> None:
        self._made.clear()


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
) -> list[Product]:
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

    Raises:
        OptimizationError: A kernel gave a wrong answer.
        DeviceError: The device failed; a width without a kernel is left out.
    """
    found = []
    for done, shape in enumerate(shapes):
        for width in widths:
            try:
                made = _of_width(device, width, shape, rows, memory, cached)
            except DeviceUnsupportedError:
                continue
            found += [replace(one, tensor_share=tensor and one.operations_per_s / tensor) for one in made]
        progress(done + 1, len(shapes), "shapes")
    return found


def _of_width(
    device: _native.Device,
    width: str,
    shape: tuple[int, int],
    rows: Sequence[int],
    memory: float,
    cached: int,
) -> list[Product]:
    tensor = _random(width, shape)
    size = sum(buffer.nbytes for buffer in tensor.buffers() if buffer is not None)
    copies = min(64, 1 + cached // size)
    plan = _plan(tensor, shape, copies)
    weights, room = _native.DeviceWeights(device), _native.CachingAllocator(device)
    ways = {
        name: _native.DevicePlan(plan, weights, room, mixed=name == "mixed") for name in ("float32", "mixed")
    }
    threads = _native.ThreadPool(_native.available_cpus())
    found = []
    for count in rows:
        x = np.random.default_rng(count).standard_normal((count, shape[1])).astype(np.float32)
        some = _some(count)  # rows do not depend on each other
        expected = plan.run_rows(x[some], threads)
        for precision, placed in ways.items():
            if precision == "mixed" and not (placed.is_mixed and count >= _MIXED_ROWS):
                continue
            _check(width, precision, expected, placed.run_rows(x)[some])
            name, seconds = _time(placed, x)
            speed = (size + x.nbytes + 4 * count * shape[0]) / seconds
            rate = 2 * count * shape[0] * shape[1] / seconds
            found.append(
                Product(width, count, *shape, precision, name, seconds, speed, rate, speed / memory, None)
            )
    return found


def _some(count: int) -> list[int]:
    """Rows that are checked: all of a few, else the first and the last."""
    if count <= 2 * _CHECKED:
        return list(range(count))
    return [*range(_CHECKED), *range(count - _CHECKED, count)]


def _random(width: str, shape: tuple[int, int]) -> Tensor:
    rng = np.random.default_rng(shape[0])
    if width in _GRIDS:
        kind, group, scale, levels = _GRIDS[width]
        groups = (shape[0], shape[1] // group)
        stored = rng.integers(0, levels, shape, dtype=np.uint8)
        scales = np.full(groups, 120, np.uint8) if scale == "e8m0" else np.full(groups, 0.01, np.float16)
        return grid_tensor("x.weight", GridCodes(Grid(kind, group, scale), stored, scales))
    if width.startswith("int8"):
        codes = rng.integers(-127, 128, shape, dtype=np.int8)
        activation = "int8" if width == "int8-int8" else "fp32"
        return int8_tensor("x.weight", codes, np.full(shape[0], 1e-3, np.float32), activation=activation)
    values = rng.standard_normal(shape).astype(np.float32)
    halves = (
        values.astype(np.float16) if width == "fp16" else (values.view(np.uint32) >> 16).astype(np.uint16)
    )
    return float_tensor("x.weight", halves).for_kernels()


def _plan(tensor: Tensor, shape: tuple[int, int], copies: int) -> _native.Plan:
    outputs, inputs = shape
    plan = _native.Plan(1, 1, outputs)
    source, result = plan.buffer("fp32", inputs), plan.buffer("fp32", outputs)
    plan.source(source)
    layers = LayerBuilder(plan, _Copies(tensor), Options())
    for copy in range(copies):
        layers.linear((Linear(f"{copy}.weight"),), source, result)
    plan.result(result)
    plan.finish()
    return plan


def _check(width: str, precision: str, expected: Any, found: Any) -> None:
    kind = "int8" if width == "int8-int8" else "mixed" if precision == "mixed" else "fp32"
    tolerance = _TOLERANCE[kind] * float(np.abs(expected).max())
    worst = float(np.abs(found - expected).max())
    if not worst <= tolerance:
        raise OptimizationError(
            f"[bench] {width}: the device is {worst} off the CPU, above {tolerance}; its kernel is wrong"
        )


def _time(placed: _native.DevicePlan, x: Any) -> tuple[str, float]:
    """The kernel of the products, and the median time of one."""
    placed.time_rows(x)
    took: list[int] = []
    for _ in range(_ROUNDS):
        steps = [step for step in placed.time_rows(x) if step[0].startswith("linear_")]
        took += [nanoseconds for _, nanoseconds in steps]
    return steps[0][0], max(statistics.median(took), 1) / 1e9
