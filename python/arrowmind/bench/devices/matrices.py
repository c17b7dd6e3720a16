"""Random matrices of every width, and plans of products with copies of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.engine.layers import LayerBuilder, Options
from arrowmind.models.spec import Linear
from arrowmind.weights import WeightSource
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.tensor import Tensor, float_tensor, grid_tensor, int8_tensor

if TYPE_CHECKING:
    from arrowmind.weights.tensor_spec import TensorSpec

__all__ = ["WIDTHS", "meets_codes", "plan_of", "random_matrix"]

# Behind the dash what rows become, without one they stay floats.
WIDTHS = (
    "fp16",
    "bf16",
    "int8",
    "int8-int8",
    "int4",
    "int4-int8",
    "int2",
    "int2-int8",
    "mxfp4",
    "mxfp4-int8",
)
_CODES = "-int8"
_GRIDS = {"int4": ("int4", 32, "fp16", 16), "int2": ("int2", 64, "fp16", 4), "mxfp4": ("fp4", 32, "e8m0", 16)}


def meets_codes(width: str) -> bool:
    """Whether rows become codes, so that products are those of integers."""
    return width.endswith(_CODES)


def random_matrix(width: str, shape: tuple[int, int]) -> Tensor:
    """One of `WIDTHS`, of outputs and inputs."""
    activation = "int8" if meets_codes(width) else "fp32"
    width = width.removesuffix(_CODES)
    rng = np.random.default_rng(shape[0])
    if width in _GRIDS:
        kind, group, scale, levels = _GRIDS[width]
        groups = (shape[0], shape[1] // group)
        stored = rng.integers(0, levels, shape, dtype=np.uint8)
        scales = np.full(groups, 120, np.uint8) if scale == "e8m0" else np.full(groups, 0.01, np.float16)
        return grid_tensor(
            "x.weight", GridCodes(Grid(kind, group, scale), stored, scales), activation=activation
        )
    if width == "int8":
        codes = rng.integers(-127, 128, shape, dtype=np.int8)
        return int8_tensor("x.weight", codes, np.full(shape[0], 1e-3, np.float32), activation=activation)
    values = rng.standard_normal(shape).astype(np.float32)
    halves = (
        values.astype(np.float16) if width == "fp16" else (values.view(np.uint32) >> 16).astype(np.uint16)
    )
    return float_tensor("x.weight", halves).for_kernels()


def plan_of(tensor: Tensor, shape: tuple[int, int], copies: int) -> _native.Plan:
    """Products of rows with copies of one matrix, one behind the other."""
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
