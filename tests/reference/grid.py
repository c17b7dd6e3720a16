"""Products with weights on a grid as csrc/kernels/qmatmul/{qmatmul,grid}.h define them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tests.reference.tolerance import UNIT

from arrowmind import _native
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.weights.formats import SCALE_TYPES, Grid, GridCodes, encode_scales, padded

TYPES = {
    "kI8Grid": "int8",
    "kI4Grid": "int4",
    "kI2Grid": "int2",
    "kFp4Grid": "fp4",
    "kT2Grid": "trellis2",
    "kT3Grid": "trellis3",
}


def grids_of(quant_type: str) -> list[Grid]:
    """Every grid that is served with codes of this type."""
    zeros = (False, True) if quant_type in ("int4", "int2") else (False,)
    of_groups = ((g, s) for g in (16, 32, 64, 128) for s in ("fp16", "u8", "e8m0", "e4m3"))
    pairs = [(0, "fp32"), (0, "fp16"), *of_groups]
    return [Grid(quant_type, group, scale, zero) for group, scale in pairs for zero in zeros]


def random_codes(rng: np.random.Generator, grid: Grid, n: int, k: int, fill: str = "random") -> GridCodes:
    """Codes, scales between 0.001 and 0.01 of either sign where they have one, zero points anywhere."""
    top = (1 << grid.bits) - 1
    codes = {
        "random": lambda: rng.integers(0, top + 1, (n, k)),
        "least": lambda: np.zeros((n, k)),
        "most": lambda: np.full((n, k), top),
    }[fill]().astype(np.uint8)
    if grid.quant_type == "int8":
        codes = np.where(codes == 0x80, 0x81, codes).astype(np.uint8)
    groups = grid.groups(k)
    scales, outer = encode_scales(grid.scale_type, rng.uniform(0.001, 0.01, (n, groups)))
    if SCALE_TYPES[grid.scale_type].signed:
        scales *= rng.choice(np.array([1, -1], scales.dtype), scales.shape)
    zeros = rng.integers(0, 256, (n, groups)).astype(np.uint8) if grid.zero_points else None
    return GridCodes(grid, codes, scales, zeros, outer)


@dataclass
class GridProblem:
    """Operands of one multiplication: activations [m, k], int8 codes or float32, and weights on a grid."""

    weights: GridCodes
    a: np.ndarray
    a_scale: np.ndarray | None = None  # [m, blocks], int8

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.a), *self.weights.codes.shape

    @property
    def integer(self) -> bool:
        return self.a.dtype == np.int8

    @cached_property
    def description(self) -> dict:
        """What the native side is told of the weights."""
        grid = self.weights.grid
        codes, scales, zeros, outer = self.weights.packed(grid.code_type.layout)
        return {
            "codes": codes,
            "group": grid.group_size,
            "scale_type": grid.scale_type,
            "scales": scales,
            "zero_points": zeros if grid.zero_points else None,
            "outer": outer.view(np.float32) if outer.size else None,
        }

    @property
    def part(self) -> int:
        """k whose products are summed as integers."""
        return 16 if self.weights.grid.group_size == 16 else self.weights.grid.block

    def part_sums(self) -> np.ndarray:
        """int32 [m, parts] sums of the activation codes."""
        return self._rows().reshape(len(self.a), -1, self.part).sum(axis=2, dtype=np.int32)

    def run(self, name: str, n_begin: int = 0, n_end: int | None = None) -> np.ndarray:
        m, n, k = self.shape
        c = np.full((m, n), np.nan, np.float32)
        described = self.description
        extra = {}
        if self.integer:
            extra = {"a_scale": self.a_scale, "a_sum": self.part_sums()}
        a = self._rows() if self.integer else self.a
        _native.qmatmul_run_grid(
            name, a, k, described["codes"], c, described, n_begin=n_begin, n_end=n_end, **extra
        )
        return c

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """The result in float64 and its error bound, both [m, n]."""
        w = self.weights.values().astype(np.float64)
        a = self.a.astype(np.float64)
        steps = self.shape[2] + 2
        if self.integer:
            block = self.weights.grid.block
            a = a * np.repeat(self.a_scale.astype(np.float64), block, axis=1)[:, : self.shape[2]]
            steps = 6 * (self.a_scale.shape[1] * block // self.part + 1)
        # Sums of parts are exact; scale, zero point and row each cost a rounding of what they multiply, and
        # every step of the sum one of what is summed up. Codes and zero points count with their own size.
        size = np.abs(a) @ (np.abs(w) + 2 * self._zero_size()).T
        return a @ w.T, steps * UNIT * size + 2.0**-140

    def _zero_size(self) -> np.ndarray:
        """What the zero point of each weight, or the code of level 0, stands for."""
        grid, k = self.weights.grid, self.weights.codes.shape[1]
        if grid.quant_type == "int8":
            return np.zeros(self.weights.codes.shape)
        zeros = self.weights.effective_zeros
        if zeros is None:
            zeros = np.float32(
                {"int4": 8, "int2": 1.5, "fp4": 6, "trellis2": 13.5, "trellis3": 30.5}[grid.quant_type]
            )
        values = np.abs(zeros * self.weights.effective_scales).astype(np.float64)
        return np.repeat(values, grid.group_size or k, axis=1)[:, :k]

    def _rows(self) -> np.ndarray:
        m, _, k = self.shape
        rows = np.zeros((m, padded(k, self.weights.grid.block)), np.int8)
        rows[:, :k] = self.a
        return rows


def random_problem(
    rng: np.random.Generator, grid: Grid, shape: tuple[int, int, int], integer: bool, fill: str = "random"
) -> GridProblem:
    m, n, k = shape
    weights = random_codes(rng, grid, n, k, fill)
    if not integer:
        return GridProblem(weights, rng.standard_normal((m, k)).astype(np.float32))
    a = rng.integers(-127, 128, (m, k)).astype(np.int8) if fill == "random" else np.full((m, k), 127, np.int8)
    scales = rng.uniform(0.001, 0.01, (m, padded(k, grid.block) // grid.block)).astype(np.float32)
    return GridProblem(weights, a, scales)


def nearest(grid: Grid, matrix: np.ndarray) -> GridCodes:
    """Plain rounding: the range of each group, then the nearest code; onto a trellis by the search for it."""
    n, k = matrix.shape
    if grid.code_type.trellis is not None:
        return codes_of(round_plainly(np.ascontiguousarray(matrix.T), grid, np.ones(k, np.float32)))
    size = grid.group_size or k
    groups = grid.groups(k)
    padded_k = groups * size
    values = np.zeros((n, padded_k), np.float32)
    values[:, :k] = matrix
    values = values.reshape(n, groups, size)
    low, high = np.minimum(values.min(axis=2), 0), np.maximum(values.max(axis=2), 0)
    if grid.zero_points:
        wanted = (high - low) / ((1 << grid.bits) - 1)
    else:
        top = {"int8": 127, "int4": 7.5, "int2": 1.5, "fp4": 6}[grid.quant_type]
        wanted = np.maximum(-low, high) / top
    scales, outer = encode_scales(grid.scale_type, np.maximum(wanted, 1e-6))
    empty = np.zeros((n, k), np.uint8)
    zeros = np.zeros((n, groups), np.uint8) if grid.zero_points else None
    steps = GridCodes(grid, empty, scales, zeros, outer).effective_scales[:, :, None]
    exact = values / steps
    if grid.zero_points:
        zeros = np.clip(np.rint(-low / steps[:, :, 0] / grid.zero_step), 0, 255).astype(np.uint8)
        exact = exact + (zeros * np.float32(grid.zero_step))[:, :, None]
    levels = grid.levels.copy()
    if grid.quant_type == "int8":
        levels[0x80] = np.inf  # left out
    codes = np.abs(exact.reshape(n, padded_k)[:, :k, None] - levels).argmin(axis=2).astype(np.uint8)
    return GridCodes(grid, codes, scales, zeros, outer)
