"""Matrices on trellis codes in training.

The codes of a row are searched for anew in each forward (0.15 s for the ten million weights of MiniLM on two
processors), and gradients pass through the search as if it were not there. A latent value beyond the farthest
level gets no gradient; there its scale gets it, so that a scale that is too small grows.

Codes may be made to hold, as on plain grids (:mod:`.latent`). A path has no middle to the next one; so the
search is given values that are moved towards what the codes of before stand for. Of two levels it then
chooses as if the middle between them lay beyond itself by the margin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.rounded import Rounded
from arrowmind.quantize.matrix.storage import ScaleStore
from arrowmind.quantize.matrix.trellis import encode

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.weights.formats import GridCodes, Trellis

__all__ = ["TrellisMatrix"]

# How far from its codes a matrix starts towards what they stand for, and the most of it, in levels: near
# enough that the search finds the same codes again.
_LEANING, _FARTHEST = 0.5, 1.0


class _HeldPaths:
    """Levels that a matrix is at; those it comes to next are drawn to them.

    Attributes:
        trellis: the code.
        group: k per scale.
        levels: [n, k]; None where nothing holds, and each search begins from nothing.
    """

    def __init__(self, codes: GridCodes, group: int, margin: float) -> None:
        """Holds.

        Args:
            codes: to begin with.
            group: k per scale.
            margin: how far beyond the middle between two levels a value goes before its level changes, in
                steps from the one to the other; 0 lets go of them at once.
        """
        self.trellis = cast("Trellis", codes.grid.code_type.trellis)
        self.group = group
        self.levels = torch.from_numpy(self.trellis.levels(codes.codes)) if margin > 0 else None
        self._pull = margin / (0.5 + margin)

    def nearest(self, values: Any, scales: Any) -> Any:
        """The levels of now, which are those held from now on."""
        if self.levels is not None:
            values = torch.lerp(values, _stand(self.levels, scales, self.group), self._pull)
        _, found = encode(values.numpy(), scales.numpy(), self.trellis, group=self.group)
        levels = torch.from_numpy(found)
        if self.levels is not None:
            self.levels.copy_(levels)
        return levels

    def settled(self, values: Any, scales: Any) -> Any:
        """The levels to store: where they hold, those that the last forward saw: a search could go on."""
        return self.nearest(values, scales) if self.levels is None else self.levels


class _Nearest(torch.autograd.Function):
    """The values of the nearest codes, with gradients for values [n, k] and scales [n, groups]."""

    @staticmethod
    def forward(context: Any, values: Any, scales: Any, paths: _HeldPaths) -> Any:
        levels = paths.nearest(values.detach(), scales.detach())
        context.save_for_backward(values, scales, levels)
        context.group, context.farthest = paths.group, paths.trellis.farthest
        return _stand(levels, scales, paths.group)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        values, scales, levels = context.saved_tensors
        group, ends = context.group, context.farthest * scales
        blocks, through = _by_group(values, group), gradient
        # What encoding adds grows with the scale: level - value / scale; beyond all levels it is the level.
        if bool((torch.linalg.vector_norm(blocks, torch.inf, dim=-1) > ends).any()):
            inside = (blocks.abs() <= ends[:, :, None]).view(len(values), -1)
            through = gradient * inside[:, : values.shape[1]]
        for_scales = _dots(gradient, levels, group) - _dots(through, values, group) / scales
        return through, for_scales, None


def _by_group(values: Any, group: int) -> Any:
    """[n, k] -> [n, groups, group], zeros behind the last."""
    padding = -values.shape[1] % group
    padded = torch.nn.functional.pad(values, (0, padding)) if padding else values
    return padded.view(len(values), -1, group)


def _stand(levels: Any, scales: Any, group: int) -> Any:
    """What levels [n, k] stand for."""
    return (_by_group(levels, group) * scales[:, :, None]).view(len(levels), -1)[:, : levels.shape[1]]


def _dots(one: Any, other: Any, group: int) -> Any:
    """Sums of products over each group, [n, groups]; nothing of the size of a matrix is made for them."""
    rows = _by_group(one.contiguous(), group).view(-1, 1, group)
    columns = _by_group(other, group).view(-1, group, 1)
    return torch.bmm(rows, columns).view(len(one), -1)


class TrellisMatrix:
    """One matrix on trellis codes, in training; as :class:`~.latent.LatentMatrix`.

    Attributes:
        grid: its grid.
        values: [n, k] latent values, in the matrix's own units.
        log_scales: [n, groups] logarithms of the scales wanted.
        zeros: empty; there are none.
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
            margin: how far codes hold; 0 lets go of them at once.
        """
        self.grid = codes.grid
        self._group = self.grid.group_size or matrix.shape[1]
        self._paths = _HeldPaths(codes, self._group, margin)
        self._store = ScaleStore(self.grid, codes.outer)
        self._input_scale = None if input_scale is None else torch.from_numpy(input_scale)
        stand = codes.values()
        steps = np.repeat(np.abs(codes.effective_scales), self._group, axis=1)[:, : matrix.shape[1]]
        apart = np.clip((matrix - stand) * np.float32(_LEANING), -_FARTHEST * steps, _FARTHEST * steps)
        self.values = torch.from_numpy((stand + apart).astype(np.float32)).requires_grad_()
        self.log_scales = torch.from_numpy(np.log(codes.effective_scales)).requires_grad_()
        self.zeros = torch.zeros(0)

    def weight(self) -> Any:
        """The matrix [n, k] that the codes of now stand for, differentiable."""
        weight = _Nearest.apply(self.values, self._scales(), self._paths)
        return weight if self._input_scale is None else weight * self._input_scale

    def codes(self) -> GridCodes:
        """The codes of now."""
        with torch.no_grad():
            scales = self._scales()
            levels = self._paths.settled(self.values, scales).numpy()
        by_group = np.ascontiguousarray(scales.numpy().T)
        rounded = Rounded(
            self.grid, self._store, np.ascontiguousarray(levels.T), by_group, np.zeros_like(by_group)
        )
        return cast("GridCodes", codes_of(rounded))

    def state(self) -> dict[str, Any]:
        """Tensors that a checkpoint keeps, by name; changes of them are changes of this."""
        held = {} if self._paths.levels is None else {"held": self._paths.levels}
        return {"values": self.values, "log_scales": self.log_scales, **held}

    def _scales(self) -> Any:
        wanted = torch.exp(self.log_scales)
        with torch.no_grad():
            change = torch.from_numpy(self._store.nearest(wanted.numpy())) - wanted
        return wanted + change
