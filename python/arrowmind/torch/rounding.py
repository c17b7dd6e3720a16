"""The matrix of one layer onto its grid: rounded by itself, or with what entered the layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.quantize.config import QuantizationConfig
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly
from arrowmind.quantize.methods import gptq
from arrowmind.quantize.ptq import fit
from arrowmind.quantize.scheme import Quantized
from arrowmind.weights.formats import Grid
from arrowmind.weights.tensor import grid_tensor, int8_tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.quantize.methods.base import Codes
    from arrowmind.weights.tensor import Tensor

    Hessian = npt.NDArray[np.float64] | None

__all__ = ["check_choices", "round_matrix"]

_NAME = "linear.weight"


def round_matrix(
    matrix: npt.NDArray[np.float32],
    config: QuantizationConfig | Grid | None = None,
    *,
    activation: str | None = None,
    hessian: Hessian = None,
) -> Tensor:
    """Quantises a matrix.

    Args:
        matrix: float32 [n, k], finite.
        config: choices, or the grid itself; None is int8 with a scale per row.
        activation: how inputs meet it; None takes what the choices say.
        hessian: float64 [k, k], mean of x x^T over inputs. With ``gptq``: error feedback; with ``ptq``:
            weight of each column's error.

    Raises:
        InvalidArgumentError: the choices cannot be served layer by layer.
    """
    config = QuantizationConfig() if config is None else config
    codes = (
        _on_grid(matrix, config, hessian) if isinstance(config, Grid) else _chosen(matrix, config, hessian)
    )
    activation = activation or _activation(config, rows=isinstance(codes, Quantized))
    if not isinstance(codes, Quantized):
        return grid_tensor(_NAME, codes, activation=activation)
    axis = 0 if len(codes.scales) == len(matrix) else -1
    return int8_tensor(
        _NAME, codes.codes, codes.scales, codes.zero_points, quant_axis=axis, activation=activation
    )


def check_choices(config: QuantizationConfig | Grid | None, *, calibrated: bool) -> None:
    """Raises InvalidArgumentError unless layers can be quantised one by one by these choices."""
    method = config.calibration if isinstance(config, QuantizationConfig) else "ptq"
    if method not in ("ptq", "gptq"):
        raise InvalidArgumentError(f"calibration {method!r} is for whole models: `arrowmind quantize`")
    if method == "gptq" and not calibrated:
        raise InvalidArgumentError("gptq needs what enters the layers: give calibration inputs")
    if isinstance(config, QuantizationConfig) and (config.bits_budget or config.size_budget):
        raise InvalidArgumentError("budgets are for whole models: `arrowmind quantize`")


def _chosen(matrix: npt.NDArray[np.float32], config: QuantizationConfig, hessian: Hessian) -> Codes:
    check_choices(config, calibrated=hessian is not None)
    if config.calibration == "gptq" and hessian is not None:
        return codes_of(gptq.round_matrix(matrix, config.grid, hessian, config))
    if config.quant_type == "int8" and not config.pair_bound:
        return fit(matrix, config, _importance(hessian))
    return _on_grid(matrix, config.grid, hessian, together=config.together)


def _on_grid(matrix: npt.NDArray[np.float32], grid: Grid, hessian: Hessian, *, together: int = 1) -> Codes:
    grid.check()
    weight = _importance(hessian)
    if weight is None:
        weight = np.ones(matrix.shape[1], np.float32)
    return codes_of(round_plainly(np.ascontiguousarray(matrix.T), grid, weight, together=together))


def _importance(hessian: Hessian) -> npt.NDArray[np.float32] | None:
    return None if hessian is None else np.diagonal(hessian).astype(np.float32)


def _activation(config: QuantizationConfig | Grid, *, rows: bool) -> str:
    chosen = config.activation if isinstance(config, QuantizationConfig) else "auto"
    if chosen != "auto":
        return chosen
    return "int16" if rows else "fp32"
