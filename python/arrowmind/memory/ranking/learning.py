"""Weights from questions whose answers are known: conditional logit by Newton's method.

Each question is a choice among the memories of its pool. The weights make what answers likely; the penalty
keeps them small, and the problem convex: the result depends on nothing but the examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

__all__ = ["Example", "learn"]

_ROUNDS = 50
_SMALLEST_STEP = 1e-6
_ENOUGH = 1e-6  # nats, of all examples together


@dataclass(frozen=True)
class Example:
    """One question.

    Attributes:
        values: signals of each memory of the pool, float [n, signals].
        answers: rows of those that answer; at least one.
    """

    values: npt.NDArray[np.floating]
    answers: Sequence[int]


def learn(examples: Sequence[Example], ridge: float = 1.0) -> npt.NDArray[np.float64]:
    """Weights of signals, float64 [signals].

    Args:
        examples: questions; those that no memory of the pool answers are left out by the caller.
        ridge: penalty on the square of weights, with every signal in units of its standard deviation.

    Raises:
        InvalidArgumentError: there are no examples, or one has no answer.
    """
    if not examples or not all(len(example.answers) for example in examples):
        raise InvalidArgumentError(f"{len(examples)} examples: give some, each with an answer")
    deviations = np.concatenate([example.values for example in examples]).std(axis=0, dtype=np.float64)
    # A signal that never varies can tell nothing: its weight stays 0.
    scale = np.where(deviations > 0, deviations, np.inf)
    scaled = [Example(np.asarray(e.values, np.float64) / scale, list(e.answers)) for e in examples]
    weights: npt.NDArray[np.float64] = np.zeros(len(scale))
    value = _likelihood(scaled, weights, ridge)
    for _ in range(_ROUNDS):
        direction = _newton(scaled, weights, ridge)
        step, better = 1.0, -np.inf
        while step > _SMALLEST_STEP:
            better = _likelihood(scaled, weights + step * direction, ridge)
            if better > value:
                break
            step /= 2
        if better - value < _ENOUGH:
            break
        weights, value = weights + step * direction, better
    return weights / scale


def _likelihood(examples: Sequence[Example], weights: Matrix, ridge: float) -> float:
    total = -0.5 * ridge * float(weights @ weights)
    for example in examples:
        scores = example.values @ weights
        top = scores.max()
        total += float(scores[example.answers].mean() - top - np.log(np.exp(scores - top).sum()))
    return total


def _newton(examples: Sequence[Example], weights: Matrix, ridge: float) -> Matrix:
    gradient, curvature = -ridge * weights, ridge * np.eye(len(weights))
    for example in examples:
        scores = example.values @ weights
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        mean = chances @ example.values
        gradient += example.values[example.answers].mean(axis=0) - mean
        curvature += (example.values * chances[:, None]).T @ example.values - np.outer(mean, mean)
    return np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)
