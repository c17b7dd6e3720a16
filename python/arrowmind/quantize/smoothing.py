"""Input scales: what the inputs of a matrix vary by goes over to its columns; then 8 bits suffice for both.

A token's codes share one scale, so a few inputs with large values cost all others their precision. Dividing
each input by a scale of its own, and multiplying the matrix's column by it, changes no product; with scale

    s = magnitude^strength / largest |column|^(1 - strength)

both sides share the difficulty (SmoothQuant, Xiao et al. 2023). Magnitudes come from calibration texts. The
scales cannot be folded into the norm before, as models with the norm first allow: here the residual reads the
norm's output, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.methods.base import Input

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from arrowmind.quantize.config import QuantizationConfig
    from arrowmind.weights import WeightSource

__all__ = ["InputStatistics", "input_scale", "scaled_inputs"]

_SMALLEST = 1e-5
"""Magnitudes and columns below it are taken for it: an input that calibration never saw may still come."""


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
        config: strength of smoothing, and what stays.
    """
    inputs = {}
    for group in groups:
        if any(weights.input_scale(name) is not None or config.keeps(name) for name in group.names):
            continue
        matrices = (weights.tensor(name).to_float32() for name in group.names)
        scale = input_scale(matrices, group.magnitude, config.smoothing)
        importance = (group.mean_square * scale.astype(np.float64) ** 2).astype(np.float32)
        inputs.update(dict.fromkeys(group.names, Input(scale, importance)))
    return inputs
