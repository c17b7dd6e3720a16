"""Input scales: what the inputs of a matrix vary by goes over to its columns; then 8 bits suffice for both.

A token's codes share one scale, so a few inputs with large values cost all others their precision. Dividing
each input by a scale of its own, and multiplying the matrix's column by it, changes no product; with scale

    s = magnitude^strength / largest |column|^(1 - strength)

both sides share the difficulty (SmoothQuant, Xiao et al. 2023). Magnitudes come from calibration texts. The
scales cannot be folded into the norm before, as models with the norm first allow: here the residual reads the
norm's output, too.

In groups of few codes it is the columns that gain (AWQ, Lin et al. 2024): one with large inputs counts for
more, and grows against its neighbours. How much is searched; where it gains too little nothing is
scaled, and the squared error of each column still has the weight of its inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.methods.base import Input

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from arrowmind.quantize.config import QuantizationConfig
    from arrowmind.weights import WeightSource
    from arrowmind.weights.formats import Grid

__all__ = ["InputStatistics", "input_scale", "scaled_inputs", "searched_scale"]

_SMALLEST = 1e-5
"""Magnitudes and columns below it are taken for it: an input that calibration never saw may still come."""
_STRENGTHS = (0.0, 0.4, 0.7, 1.0)
_TRIED_ROWS = 48
# A scale costs a multiplication of each input: it must take at least so much off the error.
_WORTH_IT = 0.98


@dataclass(frozen=True)
class InputStatistics:
    """What calibration saw enter matrices that read one input.

    Attributes:
        names: of the matrices [n_out, k], for instance query, key and value.
        magnitude: [k] largest absolute value of each input.
        mean_square: [k] mean of its square.
    """

    names: tuple[str, ...]
    magnitude: npt.NDArray[np.float64]
    mean_square: npt.NDArray[np.float64]


def input_scale(
    matrices: Iterable[npt.NDArray[np.float32]], magnitude: npt.NDArray[np.float64], strength: float
) -> npt.NDArray[np.float32]:
    """What the inputs of ``matrices`` are multiplied by; their columns are divided by it.

    Args:
        matrices: float32 [n_out, k] each.
        magnitude: [k] of the inputs.
        strength: 0 leaves all difficulty with the inputs, 1 moves all of it to the matrices.

    Returns:
        float32 [k], 1 / s of the module's formula, with a geometric mean of 1.
    """
    columns = np.max([np.abs(matrix).max(axis=0) for matrix in matrices], axis=0).astype(np.float64)
    logs = (1 - strength) * np.log(np.maximum(columns, _SMALLEST))
    logs -= strength * np.log(np.maximum(magnitude, _SMALLEST))
    result: npt.NDArray[np.float32] = np.exp(logs - logs.mean()).astype(np.float32)
    return result


def scaled_inputs(
    weights: WeightSource, groups: Sequence[InputStatistics], config: QuantizationConfig
) -> dict[str, Input]:
    """By matrix, how its inputs are scaled and what weight each column has.

    Args:
        weights: the original.
        groups: what calibration saw; groups with a matrix that stays in floating point are left out.
        config: type of the codes, strength of smoothing, and what stays.
    """
    inputs = {}
    for group in groups:
        if any(weights.input_scale(name) is not None or config.keeps(name) for name in group.names):
            continue
        matrices = [weights.tensor(name).to_float32() for name in group.names]
        if config.quant_type == "int8":
            scale: npt.NDArray[np.float32] | None = input_scale(matrices, group.magnitude, config.smoothing)
        else:
            scale = searched_scale(matrices, group.mean_square, config.grid, config.smoothing)
        inputs.update(dict.fromkeys(group.names, Input(scale, _importance(group.mean_square, scale))))
    return inputs


def searched_scale(
    matrices: Sequence[npt.NDArray[np.float32]],
    mean_square: npt.NDArray[np.float64],
    grid: Grid,
    strongest: float,
) -> npt.NDArray[np.float32] | None:
    """What the inputs of matrices in groups are multiplied by: mean_square ^ (-strength / 2).

    Columns with large inputs grow against their neighbours in a group, and so get finer steps. Of several
    strengths the one is taken that costs some rows of the matrices least.

    Args:
        matrices: float32 [n_out, k] each.
        mean_square: [k] of the inputs.
        grid: where the matrices go.
        strongest: largest strength to try.

    Returns:
        float32 [k] with a geometric mean of 1; None where no scale is the best.
    """
    together = np.concatenate(matrices)
    rows = together[:: -(-len(together) // _TRIED_ROWS)]
    best, best_cost = None, np.inf
    for part in _STRENGTHS:
        logs = -part * strongest * np.log(np.maximum(np.sqrt(mean_square), _SMALLEST))
        scale = np.exp(logs - logs.mean()).astype(np.float32) if part else None
        columns = np.ascontiguousarray((rows if scale is None else rows / scale).T)
        weight = _importance(mean_square, scale)
        rounded = round_plainly(columns, grid, weight)
        cost = float((weight @ (rounded.values() - columns) ** 2).sum())
        if cost < best_cost * _WORTH_IT:
            best, best_cost = scale, cost
    return best


def _importance(
    mean_square: npt.NDArray[np.float64], scale: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """Mean square of the inputs once they are scaled, float32 [k]."""
    factor = 1.0 if scale is None else scale.astype(np.float64)
    result: npt.NDArray[np.float32] = (mean_square * factor**2).astype(np.float32)
    return result
