"""Pooling in float64, and how far float32 may be from it."""

from __future__ import annotations

import itertools

import numpy as np
from tests.reference.tolerance import UNIT, lane_sum_steps


def pool(x: np.ndarray, offsets: np.ndarray, mode: str, normalise: bool) -> tuple[np.ndarray, np.ndarray]:
    """The result and its error bound, both [sequences, width]."""
    out, bound = np.zeros((len(offsets) - 1, x.shape[1])), np.zeros((len(offsets) - 1, x.shape[1]))
    for s, (first, last) in enumerate(itertools.pairwise(offsets)):
        if first == last:
            continue
        own = x[first:last].astype(np.float64)
        if mode in ("first", "last"):
            out[s] = own[0 if mode == "first" else -1]
        else:
            out[s] = own.mean(axis=0)
            bound[s] = (last - first + 1) * UNIT * np.abs(own).mean(axis=0)
    if normalise:
        length = np.maximum(np.sqrt((out**2).sum(axis=1, keepdims=True)), 1e-12)
        length_error = np.sqrt((bound**2).sum(axis=1, keepdims=True)) / length
        relative = length_error + (lane_sum_steps(x.shape[1]) + 4) * UNIT
        out, bound = out / length, 2 * (bound / length + np.abs(out / length) * relative)
    return out, bound
