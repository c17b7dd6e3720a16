"""What a router does, in NumPy float64: scores, groups, the best experts, their weights."""

from __future__ import annotations

import numpy as np


def best(values: np.ndarray, count: int) -> list[int]:
    """The places of the largest values, best first; of equals the first."""
    return sorted(range(len(values)), key=lambda place: (-values[place], place))[:count]


def route(
    logits: np.ndarray,
    top: int,
    *,
    score: str = "softmax",
    bias: np.ndarray | None = None,
    groups: int = 1,
    kept: int = 1,
    group_score: str = "largest",
    normalised: bool = False,
    factor: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Experts [rows, top] and their weights [rows, top]."""
    x = logits.astype(np.float64)
    if score == "softmax":
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
    else:
        scores = 1 / (1 + np.exp(-x))
    choices = scores if bias is None else scores + bias
    experts = np.array([_chosen(row, top, groups, kept, group_score) for row in choices])
    weights = np.take_along_axis(scores, experts, axis=1)
    if normalised:
        weights = weights / (weights.sum(axis=1, keepdims=True) + 1e-20)
    return experts, weights * factor


def _chosen(choice: np.ndarray, top: int, groups: int, kept: int, group_score: str) -> list[int]:
    in_groups = np.sort(choice.reshape(groups, -1), axis=1)[:, ::-1]
    scores = in_groups[:, 0] if group_score == "largest" else in_groups[:, :2].sum(axis=1)
    stays = set(best(scores, kept))
    size = len(choice) // groups
    allowed = [expert for expert in range(len(choice)) if expert // size in stays]
    return [allowed[place] for place in best(choice[allowed], top)]
