"""Post-training quantisation: round to nearest, in the range that makes the squared error smallest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.parallel import spread
from arrowmind.quantize.scheme import MAX_CODE, Quantized, parameters, quantize

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.quantize.config import QuantizationConfig

__all__ = ["RATIOS", "fit"]

RATIOS = (1.0, 0.9985, 0.997, 0.99, 0.98, 0.965, 0.95, 0.93, 0.9, 0.85, 0.8)
"""Parts of the full range that the search tries. Down to 0.997 the largest value still rounds to the last
code without loss; at 8 bits clipping rarely pays below 0.8."""

_BLOCK_ELEMENTS = 1 << 17  # float32 values of one block stay in the L2 cache


def fit(
    matrix: npt.NDArray[np.float32],
    config: QuantizationConfig,
    importance: npt.NDArray[np.float32] | None = None,
) -> Quantized:
    """Quantises a matrix.

    Args:
        matrix: float32 [rows, k], finite.
        config: symmetric or not, per channel or not, with or without range search.
        importance: [k] weight of each column's squared error, for instance the mean square of the activation
            that meets it; None for equal weights.

    Returns:
        Codes; one scale per row, or one in all.
    """
    if config.per_channel:
        rows = max(1, _BLOCK_ELEMENTS // max(1, matrix.shape[1]))
        blocks = (matrix[begin : begin + rows] for begin in range(0, len(matrix), rows))
        return _join(list(spread(lambda block: _fit_rows(block, config, importance), blocks)))
    whole = _fit_rows(matrix.reshape(1, -1), config, _tiled(importance, len(matrix)))
    return Quantized(whole.codes.reshape(matrix.shape), whole.scales, whole.zero_points)


def _fit_rows(
    rows: npt.NDArray[np.float32], config: QuantizationConfig, importance: npt.NDArray[np.float32] | None
) -> Quantized:
    low = rows.min(axis=1).astype(np.float64)
    high = rows.max(axis=1).astype(np.float64)
    scales, zeros = parameters(low, high, symmetric=config.symmetric)
    if config.range_search:
        best = _squared_error(rows, scales, zeros, importance)
        for ratio in RATIOS[1:]:
            tried, tried_zeros = parameters(low * ratio, high * ratio, symmetric=config.symmetric)
            error = _squared_error(rows, tried, tried_zeros, importance)
            better = error < best
            best = np.where(better, error, best)
            scales = np.where(better, tried, scales)
            if zeros is not None and tried_zeros is not None:
                zeros = np.where(better, tried_zeros, zeros)
    return Quantized(quantize(rows, scales, zeros), scales, zeros)


def _squared_error(
    rows: npt.NDArray[np.float32],
    scales: npt.NDArray[np.float32],
    zeros: npt.NDArray[np.float32] | None,
    importance: npt.NDArray[np.float32] | None,
) -> npt.NDArray[np.float64]:
    """Sum over each row of the squared difference to its quantised values, in units of the full scale."""
    shift = 0.0 if zeros is None else zeros[:, None]
    exact = rows / scales[:, None]
    codes = np.rint(exact)
    np.clip(codes, -MAX_CODE - shift, MAX_CODE - shift, out=codes)
    codes -= exact
    codes *= codes
    if importance is not None:
        codes *= importance
    error: npt.NDArray[np.float64] = codes.sum(axis=1, dtype=np.float64) * scales.astype(np.float64) ** 2
    return error


def _tiled(importance: npt.NDArray[np.float32] | None, rows: int) -> npt.NDArray[np.float32] | None:
    return None if importance is None else np.tile(importance, rows)


def _join(blocks: list[Quantized]) -> Quantized:
    zeros = [block.zero_points for block in blocks if block.zero_points is not None]
    return Quantized(
        np.concatenate([block.codes for block in blocks]),
        np.concatenate([block.scales for block in blocks]),
        np.concatenate(zeros) if zeros else None,
    )
