"""Layer norm in float64, and how far float32 may be from it."""

from __future__ import annotations

import numpy as np
from tests.reference.tolerance import UNIT, lane_sum_steps


def layer_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """The result and its error bound, both [rows, width]."""
    x, gamma, beta = (a.astype(np.float64) for a in (x, gamma, beta))
    steps = lane_sum_steps(x.shape[1])
    mean = x.mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + eps)
    unit = (x - mean) * inverse
    mean_error = (steps + 1) * UNIT * np.abs(x).mean(axis=1, keepdims=True)
    # The variance about a slightly wrong mean is too large by that error squared.
    inverse_error = (steps + 8) * UNIT + (mean_error * inverse) ** 2
    unit_error = mean_error * inverse + np.abs(unit) * inverse_error
    y = unit * gamma + beta
    return y, 2 * np.abs(gamma) * unit_error + 2 * UNIT * (np.abs(y) + np.abs(unit * gamma))


def rms_norm(x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The result and its error bound, both [rows, width]."""
    x, gamma = x.astype(np.float64), gamma.astype(np.float64)
    y = x / np.sqrt((x * x).mean(axis=1, keepdims=True) + eps) * gamma
    # All terms of the sum are positive: its relative error is that of its roundings, halved by the root.
    return y, (lane_sum_steps(x.shape[1]) + 10) * UNIT * np.abs(y)
