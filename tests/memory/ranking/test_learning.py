"""Weights are found again from choices that were made by them."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.ranking.learning import Example, learn
from arrowmind.memory.ranking.weights import checked_weights, scaled_weights, shipped_weights


def test_weights_are_found_again(rng):
    true = np.array([3.0, -1.0, 0.0, 0.5])
    examples = []
    for _ in range(3000):
        values = rng.standard_normal((12, 4))
        chances = np.exp(values @ true)
        examples.append(Example(values, [int(rng.choice(12, p=chances / chances.sum()))]))
    # Standard error of a weight: about 1 / sqrt(examples * variance of the signal within the choice).
    np.testing.assert_allclose(learn(examples, ridge=0.01), true, atol=4 * 3 / np.sqrt(3000))


def test_a_signal_that_never_varies_gets_no_weight(rng):
    values = np.stack([rng.random(5), np.full(5, 2.0)], axis=1)
    assert learn([Example(values, [0])])[1] == 0


def test_the_gradient_is_zero_at_the_answer(rng):
    examples = [Example(rng.standard_normal((9, 3)), [1, 4]) for _ in range(40)]
    weights = learn(examples)
    scale = np.concatenate([e.values for e in examples]).std(axis=0)
    gradient = -weights * scale
    for example in examples:
        scores = example.values @ weights
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        gradient += (example.values[example.answers].mean(axis=0) - chances @ example.values) / scale
    np.testing.assert_allclose(gradient, 0, atol=1e-3)


@pytest.mark.parametrize("examples", [[], [Example(np.zeros((2, 1)), [])]])
def test_nothing_to_learn_from_is_refused(examples):
    with pytest.raises(InvalidArgumentError, match="give some"):
        learn(examples)


def test_shipped_weights_are_of_signals_that_exist():
    weights = shipped_weights()
    assert checked_weights(weights) == dict(weights)
    assert sum(weight for weight in scaled_weights(weights).values() if weight > 0) == pytest.approx(1)


@pytest.mark.parametrize(
    "weights",
    [{"colour": 1.0}, {"words": float("nan")}, {"words": "1"}, {"words": True}, {"words": -1.0}, {}],
)
def test_bad_weights_are_refused(weights):
    with pytest.raises(InvalidArgumentError, match="weights"):
        checked_weights(weights)
