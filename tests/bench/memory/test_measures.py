"""Measures of one question, and their means."""

from __future__ import annotations

import pytest

from arrowmind.bench.memory.measures import ALL, found, means


def test_any_and_fraction():
    result = found([4, 7, *range(10, 17), 5, 9], [2, 0, 1, 3, 5, 4], frozenset({5, 9}), frozenset({4, 2}))
    assert (result.turn_any1, result.turn_any5, result.turn_any10) == (0, 0, 1)
    assert result.turn_fraction10 == 0.5
    assert (result.session_any5, result.session_fraction5, result.session_fraction10) == (1, 0.5, 1)


def test_means_are_percent_by_category():
    nothing = found([], [], frozenset({1}), frozenset({1}))
    everything = found([1], [1], frozenset({1}), frozenset({1}))
    result = means([("a", nothing), ("b", everything), ("b", nothing)])
    assert result[ALL]["turn_any10"] == pytest.approx(100 / 3)
    assert (result["a"]["turn_any10"], result["b"]["session_fraction10"]) == (0, 50)
    assert result["b"]["questions"] == 2
