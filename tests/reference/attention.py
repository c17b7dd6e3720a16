"""Varlen softmax attention in float64, and how far float32 may be from it."""

from __future__ import annotations

import itertools

import numpy as np
from tests.reference.tolerance import UNIT


def attention(
    qkv: np.ndarray, offsets: np.ndarray, heads: int, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """The result and its error bound, both [tokens, heads * head_dim]."""
    tokens, width = qkv.shape[0], qkv.shape[1] // 3
    dim = width // heads
    parts = qkv.astype(np.float64).reshape(tokens, 3, heads, dim)
    out, bound = np.zeros((tokens, heads, dim)), np.zeros((tokens, heads, dim))
    for first, last in itertools.pairwise(offsets):
        for head in range(heads):
            q, k, v = (parts[first:last, part, head] for part in range(3))
            out[first:last, head], bound[first:last, head] = _head(q, k, v, scale)
    return out.reshape(tokens, width), bound.reshape(tokens, width)


def _head(q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    length, dim = q.shape
    if length == 0:
        return q, q
    scores = q @ k.T * scale
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    # A score's error is an exponential's relative error; the row's maximum has one as well.
    score_error = (dim + 6) * UNIT * (np.abs(q) @ np.abs(k).T * abs(scale)).max(axis=1, keepdims=True)
    relative = 4 * score_error + (length + 16) * UNIT
    # Exponentials end at 2^-126 instead of 0.
    return weights @ v, weights @ np.abs(v) * relative + 2.0**-120 * np.abs(v).sum(axis=0)
