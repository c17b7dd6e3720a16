"""Linear layers to quantise, grids to put them on, and what may be lost."""

from __future__ import annotations

import numpy as np

from arrowmind.weights.formats import Grid

# (choices, activation): every type of codes, scales of each kind, both ways in which inputs meet them.
FORMS = [
    (None, "fp32"),
    (None, "int16"),
    (None, "int8"),
    *(
        (grid, activation)
        for grid in (
            Grid("int4", 32, "fp16", zero_points=True),
            Grid("int4", 0, "fp32"),
            Grid("int2", 16, "u8", zero_points=True),
            Grid("fp4", 32, "e8m0"),
            Grid("fp4", 16, "e4m3"),
        )
        for activation in ("fp32", "int8")
    ),
]
IDS = [f"{'int8' if grid is None else grid}-{activation}" for grid, activation in FORMS]


def rounding_bound(x: np.ndarray, matrix: np.ndarray, activation: str, block: int) -> np.ndarray:
    """Largest difference to x @ matrix.T that rounding of the inputs explains, and float32 sums; [m, n]."""
    k = x.shape[1]
    size = np.abs(x).astype(np.float64) @ np.abs(matrix).T.astype(np.float64)
    floats = (4 * k + 16) * 2.0**-24 * size
    if activation == "fp32":
        return floats
    if activation == "int16":
        step = np.abs(x).max(1, keepdims=True) / min(32767, (2**31 - 1) // (127 * k)) * np.ones((1, k))
    elif block:
        padded = np.pad(np.abs(x), ((0, 0), (0, -k % block))).reshape(len(x), -1, block)
        step = np.repeat(padded.max(2) / 127, block, axis=1)[:, :k]
    else:
        span = np.maximum(x.max(1), 0) - np.minimum(x.min(1), 0)
        # Zero is rounded, too, and at the ends codes are clamped: one step instead of half of one.
        step = 2 * span[:, None] / 255 * np.ones((1, k))
    return (step / 2) @ np.abs(matrix).T + 4 * floats
