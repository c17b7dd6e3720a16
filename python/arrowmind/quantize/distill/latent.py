"""Matrices that look quantised to the forward and real to the optimiser.

What is trained is what will be stored: scales and zero points are rounded to their types in each forward, and
gradients pass through every rounding as if it were not there (straight-through). A latent value whose code is
at the end of the grid gets no gradient; there its scale and zero point get it.

A latent value that its gradient drives to where two codes meet would change its code every few steps for the
rest of the training, and with each change what all others are trained against. So codes may be made to hold:
a value has to go beyond the middle between two codes by a margin before its code changes (hysteresis).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from arrowmind.quantize.distill.trellis import TrellisMatrix
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.rounded import Rounded
from arrowmind.quantize.matrix.rounding import Levels, levels_of
from arrowmind.quantize.matrix.storage import ScaleStore
from arrowmind.weights.formats.scales import SCALE_TYPES

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.weights.formats import GridCodes

__all__ = ["Latent", "LatentMatrix", "latent_matrix", "snapped"]

_EDGE = 0.45
"""How far from its code a value may start, in steps: inside the code's cell, so that training starts from the
codes it was given."""
_E2M1 = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0], dtype=np.float32)


class _Snap(torch.autograd.Function):
    """(level - zero) * scale for values, with gradients for values, scales and zero points."""

    @staticmethod
    def forward(context: Any, values: Any, scale: Any, zero: Any, levels: Levels, held: Held | None) -> Any:
        exact = values / scale
        exact += zero
        chosen = _nearest(exact, levels) if held is None else held.nearest(exact, levels)
        context.save_for_backward(exact, chosen, scale, zero)
        context.levels = levels
        result = chosen - zero
        result *= scale
        return result

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        exact, chosen, scale, zero = context.saved_tensors
        half = 0.5 if context.levels.uniform else 1.0
        inside = (exact >= context.levels.low - half) & (exact <= context.levels.high + half)
        through = gradient * inside
        blocked = gradient - through
        # d/d scale: inside, what rounding added; outside, the level itself.
        moved = torch.where(inside, chosen - exact, chosen - zero)
        for_scale = (gradient * moved).sum(-1, keepdim=True)
        for_zero = -scale * blocked.sum(-1, keepdim=True)
        return through, for_scale, for_zero, None, None


def snapped(values: Any, scales: Any, zeros: Any, levels: Levels, held: Held | None = None) -> Any:
    """Values [..., group] on their grid, differentiable: what the nearest codes, or those held, stand for."""
    return _Snap.apply(values, scales, zeros, levels, held)


def _nearest(exact: Any, levels: Levels) -> Any:
    if levels.uniform:
        chosen = torch.round(exact - levels.low)
        return chosen.clamp_(0, levels.span).add_(levels.low)
    table = torch.from_numpy(_E2M1)
    places = torch.bucketize(exact.abs(), (table[1:] + table[:-1]) / 2)
    return torch.copysign(table[places], exact)


class Held:
    """Levels that values are at, and that they keep until they are far enough from them.

    Attributes:
        levels: as the values.
    """

    def __init__(self, levels: Any, margin: float) -> None:
        """Holds.

        Args:
            levels: to begin with.
            margin: how far beyond the middle between two levels a value goes before its level changes, in
                steps of the grid.
        """
        self.levels, self._reach = levels, 0.5 + margin

    def nearest(self, exact: Any, levels: Levels) -> Any:
        """The levels of now, which are those held from now on."""
        near = (exact - self.levels).abs_() <= self._reach
        self.levels.copy_(torch.where(near, self.levels, _nearest(exact, levels)))
        return self.levels.clone()


class LatentMatrix:
    """One matrix on its grid, in training.

    Attributes:
        values: [n, groups, group] latent values, in the matrix's own units.
        log_scales: [n, groups, 1] logarithms of the scales wanted.
        zeros: [n, groups, 1] zero points wanted; not trained where the grid has none.
    """

    def __init__(
        self,
        codes: GridCodes,
        matrix: npt.NDArray[np.float32],
        input_scale: npt.NDArray[np.float32] | None = None,
        margin: float = 0.0,
    ) -> None:
        """Starts from codes.

        Args:
            codes: where to start.
            matrix: float32 [n, k], what they stand for; says to which side of its code a value leans.
            input_scale: float32 [k], multiplied to the columns again in the forward.
            margin: of :class:`Held`; 0 lets go of codes at once. Grids of uneven steps hold nothing.
        """
        self.grid = codes.grid
        self._levels = levels_of(codes.grid)
        self._n, self._k = matrix.shape
        self._group = self.grid.group_size or self._k
        self._outer = codes.outer
        self._input_scale = None if input_scale is None else torch.from_numpy(input_scale)
        scales = codes.effective_scales[:, :, None]
        zeros = np.zeros_like(scales) if codes.effective_zeros is None else codes.effective_zeros[:, :, None]
        exact = self._grouped(matrix) / scales + zeros
        levels = self._grouped(self.grid.levels[codes.codes])
        edge = _EDGE if self._levels.uniform else _EDGE / 2
        start = (np.clip(exact, levels - edge, levels + edge) - zeros) * scales
        self.values = torch.from_numpy(start.astype(np.float32)).requires_grad_()
        self.log_scales = torch.from_numpy(np.log(scales)).requires_grad_()
        self.zeros = torch.from_numpy(zeros.astype(np.float32)).requires_grad_(self.grid.zero_points)
        held = margin > 0 and self._levels.uniform
        self._held = Held(torch.from_numpy(levels.astype(np.float32)), margin) if held else None

    def weight(self) -> Any:
        """The matrix [n, k] that the codes of now stand for, differentiable."""
        flat = snapped(self.values, self._scales(), self._zeros(), self._levels, self._held)
        weight = flat.reshape(self._n, -1)[:, : self._k]
        return weight if self._input_scale is None else weight * self._input_scale

    def codes(self) -> GridCodes:
        """The codes of now."""
        with torch.no_grad():
            scales, zeros = self._scales(), self._zeros()
            exact = self.values / scales + zeros
            held = self._held
            levels = _nearest(exact, self._levels) if held is None else held.nearest(exact, self._levels)
        flat = levels.reshape(self._n, -1)[:, : self._k].numpy()
        rounded = Rounded(
            self.grid,
            ScaleStore(self.grid, self._outer),
            np.ascontiguousarray(flat.T),
            np.ascontiguousarray(scales[:, :, 0].numpy().T),
            np.ascontiguousarray(zeros[:, :, 0].numpy().T),
        )
        return cast("GridCodes", codes_of(rounded))

    def state(self) -> dict[str, Any]:
        """Tensors that a checkpoint keeps, by name; changes of them are changes of this."""
        held = {} if self._held is None else {"held": self._held.levels}
        return {"values": self.values, "log_scales": self.log_scales, "zeros": self.zeros, **held}

    def _grouped(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        padding = -self._k % self._group
        padded = np.pad(matrix, ((0, 0), (0, padding))) if padding else matrix
        return padded.reshape(self._n, -1, self._group)

    def _scales(self) -> Any:
        wanted = torch.exp(self.log_scales)
        with torch.no_grad():
            change = self._stored(wanted) - wanted
        return wanted + change

    def _stored(self, wanted: Any) -> Any:
        kind = SCALE_TYPES[self.grid.scale_type]
        if kind.values is None:
            return wanted.clamp(min=6e-8).half().float() if kind.name == "fp16" else wanted
        table = torch.from_numpy(kind.values[np.isfinite(kind.values)].copy())
        outer = 1.0 if self._outer is None else torch.from_numpy(self._outer)[:, None, None]
        places = torch.bucketize(wanted / outer, (table[1:] + table[:-1]) / 2)
        return table[places.clamp(min=1)] * outer

    def _zeros(self) -> Any:
        if not self.grid.zero_points:
            return self.zeros
        with torch.no_grad():
            stored = torch.round(self.zeros / self.grid.zero_step).clamp(0, 255) * self.grid.zero_step
            change = stored - self.zeros
        return self.zeros + change


Latent = LatentMatrix | TrellisMatrix


def latent_matrix(
    codes: GridCodes,
    matrix: npt.NDArray[np.float32],
    input_scale: npt.NDArray[np.float32] | None = None,
    margin: float = 0.0,
) -> Latent:
    """A matrix in training, from codes of any grid; arguments as of :class:`LatentMatrix`."""
    if codes.grid.code_type.trellis is not None:
        return TrellisMatrix(codes, matrix, input_scale, margin)
    return LatentMatrix(codes, matrix, input_scale, margin)
