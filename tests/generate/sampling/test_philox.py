"""Numbers by address: the published function, in [0, 1), even."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.generate.sampling.philox import block, uniform

WORDS = st.integers(0, (1 << 64) - 1)


@given(WORDS, WORDS, st.integers(1, (1 << 64) - 1))
def test_is_philox_4x64_10(seed, stream, position):
    # NumPy's generator steps its counter before it looks.
    counter, key = np.array([position - 1, 0, 0, 0], np.uint64), np.array([seed, stream], np.uint64)
    other = np.random.Philox(counter=counter, key=key)
    assert block((position, 0, 0, 0), (seed, stream)) == tuple(int(word) for word in other.random_raw(4))


@given(WORDS, WORDS, WORDS)
def test_lies_in_the_unit_interval(seed, stream, position):
    assert 0 <= uniform(seed, stream, position) < 1


def test_is_even_over_positions_and_seeds():
    count, cells = 20_000, 50
    for numbers in (
        [uniform(7, 0, position) for position in range(count)],
        [uniform(seed, 3, 11) for seed in range(count)],
    ):
        found = np.histogram(numbers, cells, (0, 1))[0]
        expected = count / cells
        statistic = ((found - expected) ** 2 / expected).sum()
        assert statistic < cells - 1 + 5 * np.sqrt(2 * (cells - 1))  # five standard deviations
