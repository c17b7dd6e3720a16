"""Error feedback (GPTQ): columns are rounded one after the other, each error handed to those that follow.

What the inputs of two columns have in common lets the second make up for the error of the first. With U
upper triangular and H^-1 = U^T U, rounding column i to q costs ((w_i - q) / u_ii)^2 once the columns after it
have taken over what they can, w_j -= (w_i - q) / u_ii * u_ij (Frantar et al. 2022). Columns go in blocks; a
block's errors reach the columns behind it in one product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.matrix import trellis
from arrowmind.quantize.matrix.bound import round_bound, side_by_side, snap_bound
from arrowmind.quantize.matrix.ranges import candidates, refit, search
from arrowmind.quantize.matrix.rounded import Rounded
from arrowmind.quantize.matrix.rounding import Levels, levels_of
from arrowmind.quantize.matrix.storage import ScaleStore
from arrowmind.quantize.parallel import spread

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.weights.formats import Grid

    Floats = npt.NDArray[np.float32]
    Found = tuple[Floats, Floats, Floats, Floats, Floats]

__all__ = ["Rounded", "round_plainly", "round_with_feedback"]

_BLOCK = 64
# Where codes are bound together, ranges are tried with the feedback, too: errors of codes that the bound cuts
# off reach the columns that follow, and the best range without feedback is too small for many rows (29 % off
# the error of query, key and value bound in fours).
_WIDER = (1.08, 1.16)
_REFITS = 2
_SEARCHED_ELEMENTS = 1 << 16
_TRIED_ELEMENTS = 1 << 19  # of one step's candidates: stay in the L2 cache


def round_plainly(columns: Floats, grid: Grid, weight: Floats, *, together: int = 1) -> Rounded:
    """Rounds a matrix onto a grid, each group in its best range, without feedback.

    Args:
        columns: float32 [k, n], the matrix transposed.
        grid: where to.
        weight: float32 [k], of each column's squared error.
        together: columns whose codes are bound together (int8, symmetric); 1: they are free.

    Returns:
        The matrix on its grid.
    """
    if grid.code_type.trellis is not None:
        return trellis.round_plainly(columns, grid, weight)
    if together > 1:
        return _round_bound(columns, grid, weight, together)
    rounded = _in_plain_ranges(columns, grid, weight, together=1)
    exact = columns / rounded.spread(rounded.scales)
    rounded.levels = levels_of(grid).snap(exact + rounded.spread(rounded.zeros))
    return rounded


def _round_bound(columns: Floats, grid: Grid, weight: Floats, together: int) -> Rounded:
    order = side_by_side(len(columns), together)
    rounded = _in_plain_ranges(columns[order], grid, weight[order], together=together)
    rounded.levels[order] = snap_bound(
        columns[order] / rounded.spread(rounded.scales), weight[order], together
    )
    return rounded


def round_with_feedback(
    columns: Floats,
    factor: Floats,
    grid: Grid,
    *,
    order: npt.NDArray[np.intp] | None = None,
    together: int = 1,
) -> Rounded:
    """Rounds a matrix onto a grid, errors handed on.

    Args:
        columns: float32 [k, n], the matrix transposed; not changed.
        factor: U of the module's text, [k, k], for columns in ``order``.
        grid: where to.
        order: of the columns; scales of groups are then found from the values as they are before any
            feedback. None takes them as they stand, and each group's scales when it is reached. Trellis codes
            follow each other as they stand in any case.
        together: columns whose codes are bound together (int8, symmetric); they lie `side_by_side`, and so
            does ``order``.

    Returns:
        The matrix on its grid.
    """
    if grid.code_type.trellis is not None:
        return trellis.round_with_feedback(columns, factor, grid)
    k = len(columns)
    weight = (1 / np.diagonal(factor) ** 2).astype(np.float32)
    static = order is not None or not grid.group_size
    order = np.arange(k) if order is None else order
    rounded = _in_plain_ranges(columns, grid, weight[np.argsort(order)], together=together)
    if not static:
        _feed_groups(rounded, columns.copy(), factor)
        return rounded
    cost = _feed_through(rounded, columns[order], factor, order)
    for ratio in _WIDER if together > 1 else ():
        other = replace(rounded, scales=rounded.scales * np.float32(ratio), levels=np.empty_like(columns))
        others_cost = _feed_through(other, columns[order], factor, order)
        better = others_cost < cost
        cost = np.where(better, others_cost, cost)
        rounded.levels[:, better] = other.levels[:, better]
        rounded.scales[:, better] = other.scales[:, better]
    return rounded


def _feed_through(rounded: Rounded, work: Floats, factor: Floats, order: npt.NDArray[np.intp]) -> Floats:
    """Rounds columns, in ``order`` in ``work``, with the scales there are; the cost of each row."""
    rounder = _Rounder(levels_of(rounded.grid), rounded.store, together=rounded.together)
    cost = np.zeros(work.shape[1], np.float32)
    for begin in range(0, len(work), _BLOCK):
        end = begin + _BLOCK
        owners = order[begin:end] // rounded.group
        found, errors, of_block = rounder.block(
            work[begin:end].copy(),
            factor[begin:end, begin:end],
            rounded.scales[owners],
            rounded.zeros[owners],
        )
        cost += of_block
        rounded.levels[order[begin:end]] = found
        if end < len(work):
            work[end:] -= factor[begin:end, end:].T @ errors
    return cost


def _feed_groups(rounded: Rounded, work: Floats, factor: Floats) -> None:
    """Rounds group after group of ``work``, the scales of each found when it is reached."""
    rounder, size = _Rounder(levels_of(rounded.grid), rounded.store, rounded.together), rounded.group
    for g, begin in enumerate(range(0, len(work), size)):
        end = min(begin + size, len(work))
        found, errors, rounded.scales[g], rounded.zeros[g] = rounder.group(
            work[begin:end], factor[begin:end, begin:end]
        )
        rounded.levels[begin:end] = found
        if end < len(work):
            work[end:] -= factor[begin:end, end:].T @ errors


def _in_plain_ranges(columns: Floats, grid: Grid, weight: Floats, *, together: int) -> Rounded:
    """The scales and zero points that are best without feedback, as they can be stored; no levels yet."""
    levels, group = levels_of(grid), grid.group_size or len(columns)
    # Types with outer scales hold any number, as long as these are not settled.
    free = (
        ScaleStore(replace(grid, scale_type="fp32"))
        if grid.scale_type in ("u8", "e4m3")
        else ScaleStore(grid)
    )

    def of_groups(begin: int) -> tuple[Floats, Floats]:
        """The parameters of groups side by side, [groups, n] each."""
        part, weights = columns[begin : begin + span], weight[begin : begin + span]
        if len(part) <= group:
            scales, zeros = search(part, levels, free, weights, together=together)
            return scales[None], zeros[None]
        stacked = part.reshape(-1, group, n).swapaxes(0, 1).reshape(group, -1)
        spread_out = np.repeat(weights.reshape(-1, group).T, n, axis=1)
        scales, zeros = search(stacked, levels, free, spread_out)
        return scales.reshape(-1, n), zeros.reshape(-1, n)

    n = columns.shape[1]
    # As many groups at a time as fit the cache; whole ones.
    span = group * max(1, _SEARCHED_ELEMENTS // max(1, group * n))
    if len(columns) % group:
        span = group
    found = list(spread(of_groups, range(0, len(columns), span)))
    wanted = np.concatenate([scales for scales, _ in found]).astype(np.float32)
    zeros = np.concatenate([zeros for _, zeros in found]).astype(np.float32)
    store = ScaleStore.covering(grid, wanted.T)
    scales = np.ascontiguousarray(store.nearest(wanted.T).T)
    return Rounded(grid, store, np.zeros_like(columns), scales, store.nearest_zeros(zeros), together)


@dataclass(frozen=True)
class _Rounder:
    levels: Levels
    store: ScaleStore
    together: int

    def block(self, work: Floats, u: Floats, scales: Floats, zeros: Floats) -> tuple[Floats, Floats, Floats]:
        """Rounds a block of columns with given parameters; ``work`` [columns, m] is used up.

        Returns:
            Levels and errors [columns, m], the cost of each row [m].
        """
        chosen, errors = np.empty_like(work), np.empty_like(work)
        cost = np.zeros(work.shape[1], dtype=np.float32)
        step = self.together
        for i in range(0, len(work), step):
            if step > 1:
                part = slice(i, i + step)
                chosen[part] = round_bound(work[part] / scales[part], u[part, part])
            else:
                chosen[i] = self.levels.snap(work[i] / scales[i] + zeros[i])
            for j in range(i, min(i + step, len(work))):
                error = errors[j]
                np.subtract(work[j], (chosen[j] - zeros[j]) * scales[j], out=error)
                error /= u[j, j]
                cost += error * error
                if j + 1 < len(work):
                    work[j + 1 :] -= u[j, j + 1 :, None] * error
        return chosen, errors, cost

    def group(self, work: Floats, u: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Rounds a group of columns with the parameters that cost least, each tried with its feedback."""
        rows = max(1, _TRIED_ELEMENTS // (len(work) * 12))
        parts = [
            replace(self, store=self.store.rows(slice(at, at + rows)))._group_rows(work[:, at : at + rows], u)
            for at in range(0, work.shape[1], rows)
        ]
        found, errors, scales, zeros = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        return found, errors, scales, zeros

    def _group_rows(self, work: Floats, u: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        best = self._best(work, u, *candidates(work, self.levels, self.store))
        weight = (1 / np.diagonal(u) ** 2).astype(np.float32)
        for _ in range(_REFITS):
            found, errors, scales, zeros, cost = best
            # What each column should have been when its turn came, moved by those before it.
            moved = (found - zeros) * scales + errors * np.diagonal(u)[:, None]
            s, z = refit(moved, found, weight, zeros, moving=self.store.grid.zero_points)
            good = s > 0
            again = self._best(work, u, np.where(good, s, scales)[None], np.where(good, z, zeros)[None])
            better = again[4] < cost
            best = _choose(better, again, best)
        return best[:4]

    def _best(self, work: Floats, u: Floats, tried: Floats, tried_zeros: Floats) -> Found:
        """Levels, errors, scales, zero points and cost of the best of the parameters, for each row."""
        count, n = tried.shape
        scales = np.stack([self.store.nearest(row[:, None])[:, 0] for row in tried]).reshape(-1)
        zeros = self.store.nearest_zeros(tried_zeros).reshape(-1)
        shape = (len(work), count * n)
        found, errors, cost = self.block(
            np.tile(work, (1, count)), u, np.broadcast_to(scales, shape), np.broadcast_to(zeros, shape)
        )
        at = cost.reshape(count, n).argmin(axis=0) * n + np.arange(n)
        return found[:, at], errors[:, at], scales[at], zeros[at], cost[at]


def _choose(first: npt.NDArray[np.bool_], one: Found, other: Found) -> Found:
    """Row by row, ``one`` where ``first`` and else ``other``."""
    a, b, c, d, e = (np.where(first, x, y) for x, y in zip(one, other, strict=True))
    return a, b, c, d, e
