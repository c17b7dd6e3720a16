"""Matrices on trellis codes: Viterbi's search for whole rows, and with errors handed on between blocks.

A level is one of those that the codes before it leave open (weights/formats/trellis.py), so that no value is
rounded by itself: the native search finds the codes of a row that lie nearest to its values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.quantize.matrix.rounded import Rounded
from arrowmind.quantize.matrix.storage import ScaleStore
from arrowmind.weights.formats.trellis import STRIDE

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.weights.formats import Grid, Trellis

    Floats = npt.NDArray[np.float32]

__all__ = ["encode", "round_plainly", "round_with_feedback"]

# Scales by the root of a group's mean square for which levels spread as values do, and what is tried of them.
_STEPS = {2: 0.19, 3: 0.096}
_TRIED = (0.75, 0.85, 0.95, 1.05, 1.2)
# Columns that are settled at a time, with as many behind them in view: the search wants to know what follows.
_BLOCK = 32
_TINY = np.float32(1e-12)


def encode(
    values: Floats,
    scales: Floats,
    trellis: Trellis,
    *,
    group: int,
    weight: Floats | None = None,
    states: npt.NDArray[np.uint8] | None = None,
) -> tuple[npt.NDArray[np.uint8], Floats]:
    """The codes whose values lie nearest.

    Args:
        values: float32 [n, k].
        scales: float32 [n, groups].
        trellis: the code.
        group: k per scale.
        weight: float32 [k], of each column's squared error.
        states: uint8 [n, 4], the bits of each stream that come before; none are 0.

    Returns:
        Codes uint8 [n, k], and the levels they stand for, float32 [n, k].
    """
    codes, levels = np.empty(values.shape, np.uint8), np.empty(values.shape, np.float32)
    _native.trellis_encode(
        trellis.bits,
        np.ascontiguousarray(values),
        np.ascontiguousarray(scales),
        group,
        codes,
        levels,
        weight=None if weight is None else np.sqrt(weight),
        states=states,
        threads=_native.available_cpus(),
    )
    return codes, levels


def round_plainly(columns: Floats, grid: Grid, weight: Floats) -> Rounded:
    """Rounds a matrix onto trellis codes, each group with its best scale.

    Args:
        columns: float32 [k, n], the matrix transposed.
        grid: where to.
        weight: float32 [k], of each column's squared error.
    """
    values, trellis, group = np.ascontiguousarray(columns.T), _trellis_of(grid), _group_of(grid, columns)
    relative = np.asarray(weight / max(float(weight.mean()), float(_TINY)), np.float32)
    store, scales = _scales(values, grid, relative, group)
    _, levels = encode(values, scales, trellis, group=group, weight=relative)
    return _rounded(grid, store, levels, scales)


def round_with_feedback(columns: Floats, factor: Floats, grid: Grid) -> Rounded:
    """Rounds a matrix onto trellis codes, the errors of each block of columns handed on to those behind it.

    Args:
        columns: float32 [k, n], the matrix transposed; not changed.
        factor: U with H^-1 = U^T U, [k, k].
        grid: where to.
    """
    values, trellis, group = np.ascontiguousarray(columns.T), _trellis_of(grid), _group_of(grid, columns)
    weight = (1 / np.diagonal(factor) ** 2).astype(np.float32)
    weight /= weight.mean()
    store, scales = _scales(values, grid, weight, group)
    every = np.repeat(scales, group, axis=1)[:, : len(columns)]
    found = np.empty_like(values)
    states = np.zeros((len(values), STRIDE), np.uint8)
    for begin in range(0, len(columns), _BLOCK):
        end, seen = min(begin + _BLOCK, len(columns)), min(begin + 2 * _BLOCK, len(columns))
        codes, levels = encode(
            values[:, begin:seen],
            every[:, begin:seen:STRIDE],
            trellis,
            group=STRIDE,
            weight=weight[begin:seen],
            states=states,
        )
        found[:, begin:end] = levels[:, : end - begin]
        if end == len(columns):
            break
        states = _states_behind(codes[:, : end - begin], trellis)
        error = values[:, begin:end] - found[:, begin:end] * every[:, begin:end]
        carried = np.linalg.solve(factor[begin:end, begin:end].T.astype(np.float64), error.T)
        values[:, end:] -= carried.T.astype(np.float32) @ factor[begin:end, end:]
    return _rounded(grid, store, found, scales)


def _trellis_of(grid: Grid) -> Trellis:
    trellis = grid.code_type.trellis
    if trellis is None:
        raise ValueError(f"{grid.quant_type} is no trellis code")
    return trellis


def _group_of(grid: Grid, columns: Floats) -> int:
    return grid.group_size or len(columns)


def _states_behind(codes: npt.NDArray[np.uint8], trellis: Trellis) -> npt.NDArray[np.uint8]:
    """The bits that levels behind a block of codes [n, 3 * STRIDE or more] depend on."""
    bits, last = trellis.bits, codes[:, -3 * STRIDE :].astype(np.uint16).reshape(len(codes), 3, STRIDE)
    stream = last[:, 0] | last[:, 1] << bits | last[:, 2] << 2 * bits
    return np.ascontiguousarray(stream >> (4 * bits - trellis.window)).astype(np.uint8)


def _scales(values: Floats, grid: Grid, weight: Floats, group: int) -> tuple[ScaleStore, Floats]:
    """For each group the scale of least error, whole rows encoded with each that is tried, then refitted."""
    trellis, groups = _trellis_of(grid), grid.groups(values.shape[1])
    starts = np.arange(groups) * group
    counts = np.maximum(np.add.reduceat(weight, starts), _TINY)
    spread = np.sqrt(np.add.reduceat(values * values * weight, starts, axis=1) / counts)
    wanted = np.maximum(spread * np.float32(_STEPS[trellis.bits]), _TINY).astype(np.float32)
    store = ScaleStore.covering(grid, wanted * np.float32(max(_TRIED)))
    best, scales = np.full(wanted.shape, np.inf, np.float32), store.nearest(wanted)

    def offer(tried: Floats) -> Floats:
        nonlocal best, scales
        tried = store.nearest(tried)
        _, levels = encode(values, tried, trellis, group=group, weight=weight)
        of_groups = np.repeat(tried, group, axis=1)[:, : values.shape[1]]
        error = np.add.reduceat((values - levels * of_groups) ** 2 * weight, starts, axis=1)
        better = error < best
        best, scales = np.where(better, error, best), np.where(better, tried, scales)
        return levels

    for ratio in _TRIED:
        offer(wanted * np.float32(ratio))
    _, levels = encode(values, scales, trellis, group=group, weight=weight)
    power = np.add.reduceat(levels * levels * weight, starts, axis=1)
    fitted = np.add.reduceat(levels * values * weight, starts, axis=1) / np.maximum(power, _TINY)
    offer(np.where(fitted > 0, fitted, scales).astype(np.float32))
    return store, scales


def _rounded(grid: Grid, store: ScaleStore, levels: Floats, scales: Floats) -> Rounded:
    scales = np.ascontiguousarray(scales.T)
    return Rounded(grid, store, np.ascontiguousarray(levels.T), scales, np.zeros_like(scales))
