"""Widths for a budget: near the best there is, never above the budget."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.errors import QuantizationError
from arrowmind.quantize.allocation import CANDIDATES, Choice, candidates_for, solve
from arrowmind.weights.formats import Grid

GRIDS = [Grid("int2"), Grid("int2", 16), Grid("int4"), Grid("int8", 0, "fp32")]


def choices(seed, tensors):
    random = np.random.default_rng(seed)
    measured = {}
    for index in range(tensors):
        size, cost = int(random.integers(100, 1000)), random.uniform(0.01, 1)
        measured[f"t{index}"] = [
            Choice(grid, size * bits, cost * random.uniform(0.6, 1.4) / 4.0**bits)
            for grid, bits in zip(GRIDS, (2, 3, 4, 8), strict=True)
        ]
    return measured


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_budgets_are_kept_and_used(seed, part):
    measured = choices(seed, 5)
    smallest = sum(min(c.bytes for c in options) for options in measured.values())
    largest = sum(max(c.bytes for c in options) for options in measured.values())
    budget = int(smallest + part * (largest - smallest))
    chosen = solve(measured, budget)
    assert sum(choice.bytes for choice in chosen.values()) <= budget
    best = min(
        sum(choice.cost for choice in combination)
        for combination in product(*measured.values())
        if sum(choice.bytes for choice in combination) <= budget
    )
    # Greedy along convex hulls loses at most one upgrade.
    largest_step = max(
        max(c.cost for c in options) - min(c.cost for c in options) for options in measured.values()
    )
    assert sum(choice.cost for choice in chosen.values()) <= best + largest_step


def test_all_the_best_where_the_budget_allows():
    measured = choices(1, 4)
    chosen = solve(measured, 10**9)
    for name, options in measured.items():
        assert chosen[name].cost == min(choice.cost for choice in options)


def test_the_smallest_that_would_do_is_named():
    measured = choices(1, 4)
    smallest = sum(min(choice.bytes for choice in options) for options in measured.values())
    with pytest.raises(QuantizationError, match=str(smallest)):
        solve(measured, smallest - 1)


def test_what_is_chosen_from_follows_the_groups_that_are_asked_for():
    """Zero points and scales of short groups are dear in short rows: 2 bits with both may exceed 2.6."""
    default = Grid("int2", 32, "u8", zero_points=True)
    assert candidates_for(default) == CANDIDATES
    plain = Grid("int2", 64, "fp16")
    assert candidates_for(plain) == (plain, Grid("int4", 64, "fp16"), CANDIDATES[-1])
    trellis = candidates_for(Grid("trellis3", 64, "fp16"))
    assert trellis[:-2] == (
        *(Grid("trellis2", 0, "fp16"), Grid("trellis2", 64, "u8"), Grid("trellis2", 64, "fp16")),
        *(Grid("trellis3", 0, "fp16"), Grid("trellis3", 64, "u8"), Grid("trellis3", 64, "fp16")),
    )
    rows = candidates_for(Grid("trellis2", 0, "fp32"))
    assert rows[:2] == (trellis[0], Grid("trellis2", 0, "fp32"))
    assert candidates_for(Grid("int4", 64, "fp16")) == CANDIDATES
    for candidates in (candidates_for(plain), trellis, CANDIDATES):
        bits = [grid.bits_per_weight(512, 512) for grid in candidates]
        assert bits == sorted(bits)
