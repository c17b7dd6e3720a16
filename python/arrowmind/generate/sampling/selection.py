"""Exact subsets of a vocabulary by value: the k highest, and the nucleus of a distribution.

Ties go to the lower token id. No function sorts a whole vocabulary unless all of its values are equal, which
a stable sort passes over once: 150,000 tokens take well under a millisecond.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["draw", "highest", "nucleus"]

_SMALL = 4096  # sorted at once
_BLOCK = 1024
_LOWEST = float(np.finfo(np.float32).min)

Floats = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]


def highest(values: Floats, count: int) -> Ids:
    """Indices, ascending, of the `count` highest of `values`, none of them NaN; -inf is not among them."""
    candidates = np.flatnonzero(values >= max(_bound(values, count), _LOWEST))
    if count >= len(candidates):
        return candidates
    found = values[candidates]
    threshold = np.partition(found, len(found) - count)[len(found) - count]
    above = found > threshold
    ties = np.flatnonzero(found == threshold)[: count - int(np.count_nonzero(above))]
    above[ties] = True
    return np.asarray(candidates[above])


def _bound(values: Floats, count: int) -> float:
    """What at least `count` values reach, and few more: the `count`-th highest maximum of some columns."""
    columns = max(1024, 8 * count)
    rows = len(values) // columns
    if rows < 2:
        return -math.inf
    maxima = values[: rows * columns].reshape(rows, columns).max(axis=0)
    return float(np.partition(maxima, columns - count)[columns - count])


def nucleus(weights: npt.NDArray[np.float32], mass: float) -> npt.NDArray[np.bool_]:
    """A mask of the fewest heaviest of `weights` whose sum reaches `mass`; at least one.

    Args:
        weights: float32, 0 and above, finite.
        mass: Sum to reach; more than there is takes all.
    """
    if len(weights) <= _SMALL:
        few = np.zeros(len(weights), np.bool_)
        few[_heaviest_first(weights, mass)] = True
        return few
    # The bits of a float of no sign are ordered as the float. Their upper half makes bins of nearly equal
    # weights: whole bins are in or out, and only the one where the sum is reached is looked into.
    sums = np.cumsum(_bin_sums(weights)[::-1])
    crossing = min(int(np.searchsorted(sums, mass)), len(sums) - 1)
    before = float(sums[crossing - 1]) if crossing else 0.0
    upper = len(sums) - crossing
    edges = np.array([(upper - 1) << 16, upper << 16], np.uint32).view(np.float32)
    kept: npt.NDArray[np.bool_] = weights >= edges[1]
    inside = np.flatnonzero((weights >= edges[0]) & ~kept)
    if len(inside):
        kept[inside[_heaviest_first(weights[inside], mass - before)]] = True
    return kept


def _bin_sums(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Sums of the weights whose bits have the same upper half, by it. In blocks, which stay in the cache."""
    highest_bin = int(weights.max().view(np.uint32)) >> 16
    sums = np.zeros(highest_bin + 1)
    for start in range(0, len(weights), _BLOCK * 16):
        block = weights[start : start + _BLOCK * 16]
        bins = (block.view(np.uint32) >> 16).astype(np.int64)
        sums += np.bincount(bins, block.astype(np.float64), len(sums))
    return sums


def draw(weights: npt.NDArray[np.float32], chance: float) -> int:
    """Index whose share of the sum of `weights` `chance`, in [0, 1), falls into; never one of weight 0.

    Sums of blocks first: summing all weights one after the other takes several times as long.
    """
    sums = np.cumsum(np.add.reduceat(weights, np.arange(0, len(weights), _BLOCK), dtype=np.float64))
    total = float(sums[-1])
    target = min(chance * total, math.nextafter(total, 0.0))
    block = int(np.searchsorted(sums[:-1], target, side="right"))
    start = block * _BLOCK
    inside = np.cumsum(weights[start : start + _BLOCK].astype(np.float64))
    rest = target - (float(sums[block - 1]) if block else 0.0)
    # The first sum above the target. Two sums of a block may differ in the last bits: stay below this one.
    rest = min(rest, math.nextafter(float(inside[-1]), 0.0))
    return start + int(np.searchsorted(inside, rest, side="right"))


def _heaviest_first(weights: Floats, mass: float) -> Ids:
    order = np.argsort(-weights, kind="stable")
    count = int(np.searchsorted(np.cumsum(weights[order].astype(np.float64)), mass)) + 1
    return np.asarray(order[:count])
