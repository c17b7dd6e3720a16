"""What csrc/kernels/quantise/quantise.h promises, to the last bit."""

from __future__ import annotations

import numpy as np

SMALLEST = np.float32(2.0**-96)


def quantise(x: np.ndarray, limit: int, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of float32 -> codes padded to a multiple of 4, scales, sums."""
    rows, width = x.shape
    codes = np.zeros((rows, -(-width // 4) * 4), dtype)
    scales = np.zeros(rows, np.float32)
    for row in range(rows):
        if not np.isfinite(x[row]).all():
            scales[row] = np.nan
            continue
        amax = np.abs(x[row]).max(initial=np.float32(0))
        if amax < SMALLEST:
            continue
        scales[row] = amax / np.float32(limit)
        codes[row, :width] = np.rint(x[row] * (np.float32(limit) / amax)).astype(dtype)
    return codes, scales, codes.sum(axis=1, dtype=np.int64)
