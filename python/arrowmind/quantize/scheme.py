"""Integer codes for real numbers: value = (code - zero point) * scale, code in [-127, 127].

-128 is left out: its negation does not exist in 8 bits, and a product of two codes fits 14 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MAX_CODE", "SMALLEST_SCALE", "Quantized", "dequantize", "parameters", "quantize"]

MAX_CODE = 127
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
"""Below it the quotient by a scale could overflow."""


@dataclass(frozen=True)
class Quantized:
    """A matrix [rows, k] as codes.

    Attributes:
        codes: int8 [rows, k].
        scales: float32 [rows], or [1] for the whole matrix.
        zero_points: float32 like ``scales``, whole numbers in [-127, 127]; None when symmetric.
    """

    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.float32] | None = None

    def values(self) -> npt.NDArray[np.float32]:
        """The real values that codes stand for, float32 [rows, k]."""
        return dequantize(self)


def parameters(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], *, symmetric: bool
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Scales and zero points whose codes cover [low, high] and zero.

    Args:
        low: smallest value of each row.
        high: largest value of each row.
        symmetric: no zero points; the range is the larger of both sides.

    Returns:
        Scales, never below :data:`SMALLEST_SCALE`, and zero points or None.
    """
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    span = 2 * np.maximum(-low, high) if symmetric else high - low
    scales = np.maximum(span / (2 * MAX_CODE), SMALLEST_SCALE).astype(np.float32)
    if symmetric:
        return scales, None
    zeros = np.rint(-MAX_CODE - low / scales)
    return scales, np.clip(zeros, -MAX_CODE, MAX_CODE).astype(np.float32)


def quantize(
    matrix: npt.NDArray[np.float32],
    scales: npt.NDArray[np.float32],
    zero_points: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.int8]:
    """Codes of a matrix: the nearest, ties to even, clipped to [-127, 127].

    Args:
        matrix: float32 [rows, k].
        scales: float32 [rows] or [1].
        zero_points: like ``scales``; None for zero.

    Returns:
        int8 [rows, k].
    """
    codes = np.rint(matrix / scales[:, None])
    if zero_points is not None:
        codes += zero_points[:, None]
    result: npt.NDArray[np.int8] = np.clip(codes, -MAX_CODE, MAX_CODE).astype(np.int8)
    return result


def dequantize(quantized: Quantized) -> npt.NDArray[np.float32]:
    """The real values that codes stand for, float32 [rows, k]."""
    values = quantized.codes.astype(np.float32)
    if quantized.zero_points is not None:
        values -= quantized.zero_points[:, None]
    values *= quantized.scales[:, None]
    return values
