"""The k highest and the nucleus, against a full stable sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from arrowmind.generate.sampling.selection import draw, highest, nucleus

# Few distinct values, so that ties are common; -inf as after a mask.
VALUES = hnp.arrays(
    np.float32,
    st.integers(1, 300),
    elements=st.sampled_from([float("-inf"), -2.0, -0.5, 0.0, 0.25, 0.5, 3.0]) | st.floats(-10, 10, width=32),
)


def reference_highest(values, count):
    found = np.sort(np.argsort(-values, kind="stable")[:count])
    return found[values[found] > -np.inf]


def reference_nucleus(weights, mass):
    order = np.argsort(-weights, kind="stable")
    sums = np.cumsum(weights[order].astype(np.float64))
    return np.sort(order[: int(np.searchsorted(sums, mass)) + 1])


@given(VALUES, st.integers(1, 300))
def test_highest_of_few(values, count):
    np.testing.assert_array_equal(highest(values, count), reference_highest(values, count))


@pytest.mark.parametrize("count", [1, 2, 40, 999, 5000, 49_999, 50_000, 60_000])
@pytest.mark.parametrize("kind", ["normal", "ties", "rising", "falling", "equal"])
def test_highest_of_many(rng, count, kind):
    values = {
        "normal": lambda: rng.normal(size=50_000),
        "ties": lambda: rng.integers(0, 30, 50_000),
        "rising": lambda: np.arange(50_000),
        "falling": lambda: -np.arange(50_000),
        "equal": lambda: np.full(50_000, -3.0),
    }[kind]().astype(np.float32)
    np.testing.assert_array_equal(highest(values, count), reference_highest(values, count))


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("spread", [0.0, 0.001, 1.0, 30.0])
@pytest.mark.parametrize("size", [1, 4096, 4097, 40_000])
def test_nucleus(rng, size, spread, share):
    logits = rng.normal(size=size).astype(np.float32) * np.float32(spread)
    weights = np.exp(logits - logits.max())
    mass = share * float(weights.astype(np.float64).sum())
    kept, expected = np.flatnonzero(nucleus(weights, mass)), reference_nucleus(weights, mass)
    # Sums in another order differ in their last bits, which may matter to the one token at the border.
    assert len(np.setxor1d(kept, expected)) <= (0 if share < 1 else len(kept) // 2)
    assert weights[kept].astype(np.float64).sum() >= mass * (1 - 1e-9)


def test_nucleus_takes_equals_by_id():
    weights = np.full(50_000, 0.5, np.float32)
    np.testing.assert_array_equal(np.flatnonzero(nucleus(weights, 0.5 * 777)), np.arange(777))


@given(
    hnp.arrays(
        np.float32, st.integers(1, 3000), elements=st.sampled_from([0.0, 1e-30, 0.1, 1.0]), fill=st.just(0.5)
    ),
    st.floats(0, 1, exclude_max=True),
)
def test_draw_never_hits_nothing(weights, chance):
    weights[0] = max(weights[0], 0.25)
    index = draw(weights, chance)
    assert weights[index] > 0
    sums = np.cumsum(weights.astype(np.float64))
    slack = 1e-12 * sums[-1]
    assert sums[index] - weights[index] - slack <= chance * sums[-1] <= sums[index] + slack
