"""Coordinate descent on a matrix on its grid: better scales for its codes, better codes for its scales.

The error of a row, e^T H e with e = w - q, is a parabola in each single code and in the scale and zero point
of each group. Each is moved to the best value the grid can hold while the others stay, so that no step makes
the error larger; what one step changes is known to the next through the gradient H e.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.matrix.bound import round_bound
from arrowmind.quantize.matrix.rounding import Levels, levels_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.quantize.matrix.rounded import Rounded

    Floats = npt.NDArray[np.float32]

__all__ = ["refine", "squared_error"]

_BLOCK = 64
_TINY = np.float32(1e-30)


def squared_error(
    rounded: Rounded, columns: Floats, hessian: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """e^T H e of each row, float64 [n]."""
    error = (columns - rounded.values()).astype(np.float64)
    result: npt.NDArray[np.float64] = (error * (hessian @ error)).sum(axis=0)
    return result


def refine(rounded: Rounded, columns: Floats, hessian: Floats, sweeps: int) -> None:
    """Improves ``rounded`` in place.

    Args:
        rounded: the matrix on its grid.
        columns: float32 [k, n], what it should be.
        hessian: float32 [k, k], the damped moments of its inputs.
        sweeps: over all groups and columns; each costs about as much as the feedback.
    """
    for _ in range(sweeps):
        _Sweep(rounded, columns, hessian).run()


class _Sweep:
    def __init__(self, rounded: Rounded, columns: Floats, hessian: Floats) -> None:
        self._rounded = rounded
        self._hessian = hessian
        # Of a trellis a single code moves the levels behind it: scales alone are improved.
        self._levels = None if rounded.grid.code_type.trellis else levels_of(rounded.grid)
        # Afresh in each sweep: updates would add up their rounding.
        self._gradient = hessian @ (columns - rounded.values())

    def run(self) -> None:
        k, group = len(self._rounded.levels), self._rounded.group
        for begin in range(0, k, group):
            end = min(begin + group, k)
            self._parameters(begin // group, slice(begin, end))
            for at in range(begin, end, _BLOCK):
                if self._levels is not None:
                    self._codes(begin // group, slice(at, min(at + _BLOCK, end)), self._levels)

    def _parameters(self, g: int, part: slice) -> None:
        """Scale and zero point of group ``g``, by least squares, where what can be stored of it is better."""
        rounded = self._rounded
        scale, zero = rounded.scales[g], rounded.zeros[g]
        x = rounded.levels[part] - zero
        h = self._hessian[part, part]
        hx = h @ x
        wanted = scale + (x * self._gradient[part]).sum(axis=0) / np.maximum((x * hx).sum(axis=0), _TINY)
        wanted_zero = zero
        if rounded.grid.zero_points:
            # value = level * s - t: the optimum of both, then z = t / s.
            ones = h.sum(axis=1)
            aa, bb, ab = (x * hx).sum(axis=0), ones.sum(), (ones[:, None] * x).sum(axis=0)
            ra, rb = (x * self._gradient[part]).sum(axis=0), self._gradient[part].sum(axis=0)
            determinant = aa * bb - ab * ab
            good = determinant > 1e-6 * aa * bb
            safe = np.where(good, determinant, 1)
            ds = np.where(good, (ra * bb - rb * ab) / safe, wanted - scale)
            dt = np.where(good, (ab * ra - aa * rb) / safe, 0)  # of -t, its sign turned
            wanted = scale + ds
            wanted_zero = zero + dt / np.where(wanted > 0, wanted, 1)
        found = rounded.store.nearest(np.maximum(wanted, 0)[:, None])[:, 0]
        self._move(g, part, np.where(wanted > 0, found, scale), rounded.store.nearest_zeros(wanted_zero))

    def _move(self, g: int, part: slice, scale: Floats, zero: Floats) -> None:
        """Takes new parameters where the error falls."""
        rounded = self._rounded
        levels = rounded.levels[part]
        change = (levels - zero) * scale - (levels - rounded.zeros[g]) * rounded.scales[g]
        gain = (change * (2 * self._gradient[part] - self._hessian[part, part] @ change)).sum(axis=0)
        better = gain > 0
        change *= better
        rounded.scales[g] = np.where(better, scale, rounded.scales[g])
        rounded.zeros[g] = np.where(better, zero, rounded.zeros[g])
        self._gradient -= self._hessian[:, part] @ change

    def _codes(self, g: int, part: slice, kinds: Levels) -> None:
        rounded, h = self._rounded, self._hessian[part, part]
        scale = rounded.scales[g]
        gradient, levels = self._gradient[part], rounded.levels[part]
        step = rounded.together
        before = levels.copy()
        for i in range(0, len(levels), step):
            if step > 1:
                part_of = slice(i, i + step)
                found = _bound(levels[part_of], gradient[part_of] / scale, h[part_of, part_of])
            else:
                found = kinds.snap(levels[i] + gradient[i] / (scale * max(h[i, i], _TINY)))[None]
            for j in range(len(found)):
                moved = found[j] - levels[i + j]
                levels[i + j] = found[j]
                gradient -= h[:, i + j, None] * (moved * scale)
        change = (levels - before) * scale
        others = np.ones(len(self._hessian), dtype=bool)
        others[part] = False
        self._gradient[others] -= self._hessian[others][:, part] @ change


def _bound(codes: Floats, gradient: Floats, h: Floats) -> Floats:
    wanted = codes + np.linalg.solve(h.astype(np.float64), gradient).astype(np.float32)
    factor = np.linalg.cholesky(np.linalg.inv(h.astype(np.float64))).T
    return round_bound(wanted, factor.astype(np.float32))
