"""Varlen softmax attention in float64, and how far float32 may be from it."""

from __future__ import annotations

import itertools

import numpy as np
from tests.reference.tolerance import UNIT


def attention(
    qkv: np.ndarray,
    offsets: np.ndarray,
    heads: int,
    scale: float,
    *,
    key_heads: int = 0,
    causal: bool = False,
    window: int = 0,
    cap: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The result and its error bound, both [tokens, heads * head_dim]."""
    key_heads = key_heads or heads
    tokens = qkv.shape[0]
    dim = qkv.shape[1] // (heads + 2 * key_heads)
    q, k, v = (
        part.reshape(tokens, -1, dim)
        for part in np.split(qkv.astype(np.float64), [heads * dim, (heads + key_heads) * dim], axis=1)
    )
    out, bound = np.zeros((tokens, heads, dim)), np.zeros((tokens, heads, dim))
    for first, last in itertools.pairwise(offsets):
        seen = visible(last - first, window) if causal else np.ones((last - first, last - first), bool)
        for head in range(heads):
            one = head // (heads // key_heads)
            rows = slice(first, last)
            out[rows, head], bound[rows, head] = _head(
                q[rows, head], k[rows, one], v[rows, one], scale, seen, cap
            )
    return out.reshape(tokens, -1), bound.reshape(tokens, -1)


def visible(length: int, window: int = 0) -> np.ndarray:
    """Which keys (columns) each row sees: those up to itself, the last `window` of them."""
    behind = np.arange(length)[:, None] - np.arange(length)
    return (behind >= 0) & ((behind < window) if window else True)


def _head(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float, seen: np.ndarray, cap: float
) -> tuple[np.ndarray, np.ndarray]:
    length, dim = q.shape
    if length == 0:
        return q, q
    scores = q @ k.T * scale
    # A score's error is an exponential's relative error; the row's maximum has one as well.
    score_error = (dim + 6) * UNIT * (np.abs(q) @ np.abs(k).T * abs(scale)).max(axis=1, keepdims=True)
    if cap:
        scores = cap * np.tanh(scores / cap)
        score_error = score_error + 1e-6 * cap
    scores = np.where(seen, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    relative = 4 * score_error + (length + 16) * UNIT
    # Exponentials end at 2^-126 instead of 0.
    return weights @ v, weights @ np.abs(v) * relative + 2.0**-120 * np.abs(v).sum(axis=0)
