"""What csrc/kernels/quantise/quantise.h promises, to the last bit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SMALLEST = np.float32(2.0**-96)


class Codes(NamedTuple):
    """Rows of codes padded to a multiple of 4, and what goes with each row."""

    codes: np.ndarray
    scales: np.ndarray
    sums: np.ndarray
    zeros: np.ndarray


def quantise(x: np.ndarray, limit: int, dtype: type, multiplier: np.ndarray | None = None) -> Codes:
    """Rows of float32 as codes; `limit` is of int16 codes."""
    rows, width = x.shape
    result = Codes(
        np.zeros((rows, -(-width // 4) * 4), dtype),
        np.zeros(rows, np.float32),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int32),
    )
    encode = _symmetric if dtype is np.int16 else _asymmetric
    with np.errstate(over="ignore", invalid="ignore"):
        for row in range(rows):
            values = x[row] if multiplier is None else x[row] * multiplier
            result.scales[row], result.zeros[row], codes = encode(values, limit)
            result.codes[row, :width] = codes
            result.sums[row] = (codes - np.int64(result.zeros[row])).sum()
    return result


def _symmetric(x: np.ndarray, limit: int) -> tuple[np.float32, int, np.ndarray]:
    largest = np.abs(x).max(initial=np.float32(0))
    nothing = np.zeros(x.size, np.int64)
    if not np.isfinite(x).all():
        return np.float32(np.nan), 0, nothing
    if largest < SMALLEST:
        return np.float32(0), 0, nothing
    return largest / np.float32(limit), 0, np.rint(x * (np.float32(limit) / largest)).astype(np.int64)


def _asymmetric(x: np.ndarray, _limit: int) -> tuple[np.float32, int, np.ndarray]:
    low, high = x.min(initial=np.float32(0)), x.max(initial=np.float32(0))
    span = np.float32(high - low)
    nothing = np.zeros(x.size, np.int64)
    if not np.isfinite(x).all() or not np.isfinite(span):
        return np.float32(np.nan), 0, nothing
    if max(-low, high) < SMALLEST:
        return np.float32(0), 0, nothing
    inverse = np.float32(255) / span
    zero = np.rint(np.float32(-128) - low * inverse)
    # One rounding, as of a fused multiply-add: the product is exact in float64.
    shifted = (x.astype(np.float64) * np.float64(inverse) + np.float64(zero)).astype(np.float32)
    codes = np.rint(np.clip(shifted, np.float32(-128), np.float32(127))).astype(np.int64)
    return span / np.float32(255), int(zero), codes
