"""The numbers a race is told by."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.bench import statistics


def test_spread_and_latency():
    assert statistics.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    found = statistics.latency([i / 1000 for i in range(1, 102)])
    assert found == pytest.approx({"best_ms": 1.0, "p50_ms": 51.0, "p95_ms": 96.0, "p99_ms": 100.0})


def test_the_ratio_is_taken_round_by_round():
    assert statistics.median_ratio([2.0, 20.0, 6.0], [1.0, 10.0, 2.0]) == 2.0


def test_cosines_of_rows():
    left = np.array([[1.0, 0.0], [1.0, 1.0]], np.float32)
    right = np.array([[2.0, 0.0], [-1.0, -1.0]], np.float32)
    np.testing.assert_allclose(statistics.cosines(left, right), [1.0, -1.0])


def test_rank_correlation_shares_the_ranks_of_equal_values():
    assert statistics.spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1.0)
    assert statistics.spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert statistics.spearman([1, 2, 2, 4], [1, 2, 3, 4]) == pytest.approx(np.sqrt(0.9))
