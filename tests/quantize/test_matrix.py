"""One matrix onto a grid: what feedback, refinement and the bound of codes promise."""

from __future__ import annotations

import logging
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.errors import QuantizationError
from arrowmind.quantize import QuantizationConfig
from arrowmind.quantize.matrix.bound import BOUND, is_bound, round_bound, side_by_side, snap_bound
from arrowmind.quantize.matrix.codes import codes_of
from arrowmind.quantize.matrix.feedback import round_plainly, round_with_feedback
from arrowmind.quantize.matrix.hessian import damped, feedback_factor
from arrowmind.quantize.matrix.refine import refine, squared_error
from arrowmind.quantize.matrix.rounding import levels_of
from arrowmind.quantize.matrix.storage import ScaleStore
from arrowmind.quantize.methods.gptq import round_matrix
from arrowmind.weights.formats import Grid

K, N = 96, 40
GRIDS = [
    Grid("int4", 32, "fp16"),
    Grid("int4", 32, "fp16", zero_points=True),
    Grid("int4", 0, "fp32"),
    Grid("int2", 32, "u8", zero_points=True),
    Grid("int2", 16, "u8"),
    Grid("fp4", 32, "e8m0"),
    Grid("fp4", 16, "e4m3"),
    Grid("int8", 0, "fp32"),
    Grid("int8", 0, "fp32", zero_points=True),
]


def problem(seed, k=K, n=N):
    """Columns [k, n] and moments of inputs that have much in common."""
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((k, k)) * np.exp(-np.arange(k) / 15)[:, None]
    inputs = random.standard_normal((600, k)) @ mixing + 0.3 * random.standard_normal((600, k))
    return random.standard_normal((k, n)).astype(np.float32), inputs.T @ inputs / len(inputs)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_each_step_makes_the_error_smaller(grid, seed):
    columns, hessian = problem(seed)
    target = damped(hessian, 0.01)
    plain = round_plainly(columns, grid, np.ones(K, np.float32))
    fed = round_with_feedback(columns, feedback_factor(hessian, 0.01), grid)
    errors = [squared_error(plain, columns, target), squared_error(fed, columns, target)]
    for _ in range(3):
        refine(fed, columns, target.astype(np.float32), 1)
        errors.append(squared_error(fed, columns, target))
    totals = [error.sum() for error in errors]
    print(totals)
    assert totals[1] < 0.6 * totals[0]
    assert totals[2] < totals[1]
    for before, after in pairwise(errors[1:]):
        assert (after <= before * (1 + 1e-4)).all()


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("act_order", [False, True])
def test_codes_stand_for_what_was_chosen(grid, act_order, seed):
    columns, hessian = problem(seed)
    config = QuantizationConfig(act_order=act_order, sweeps=1)
    rounded = round_matrix(np.ascontiguousarray(columns.T), grid, hessian, config)
    codes = codes_of(rounded)
    np.testing.assert_array_equal(codes.values(), rounded.values().T)
    part = codes_of(rounded, slice(8, 24))
    np.testing.assert_array_equal(part.values(), codes.values()[8:24])
    again = codes_of(round_matrix(np.ascontiguousarray(columns.T), grid, hessian, config))
    np.testing.assert_array_equal(again.codes, codes.codes)


@given(st.sampled_from(GRIDS), st.integers(0, 1000), st.sampled_from([8, 48, 70]), st.integers(1, 5))
def test_a_matrix_on_the_grid_stays(grid, seed, k, n):
    random = np.random.default_rng(seed)
    levels = levels_of(grid)
    k = max(k, grid.group_size)
    if grid.group_size:
        k -= k % grid.group_size
    groups = grid.groups(k)
    chosen = levels.snap(random.uniform(levels.low, levels.high, (k, n)).astype(np.float32))
    chosen[0], chosen[-1] = levels.low, levels.high
    store = ScaleStore.covering(grid, random.uniform(0.5, 1.5, (n, groups)).astype(np.float32))
    scales = store.nearest(random.uniform(0.5, 1.5, (n, groups)).astype(np.float32))
    spread = np.repeat(scales.T, grid.group_size or k, axis=0)[:k]
    values = chosen * spread
    np.testing.assert_array_equal(levels.snap(values / spread), chosen)
    codes = levels.codes(chosen)
    if grid.quant_type != "int8":
        np.testing.assert_array_equal(grid.levels[codes], chosen)


def test_without_common_inputs_feedback_changes_nothing(seed):
    columns, _ = problem(seed)
    grid = Grid("int4", 0, "fp32")
    fed = round_with_feedback(columns, feedback_factor(np.eye(K), 0.0), grid)
    plain = round_plainly(columns, grid, np.ones(K, np.float32))
    np.testing.assert_array_equal(fed.levels, plain.levels)


@pytest.mark.parametrize("k", [K, 97, 102])
@pytest.mark.parametrize("act_order", [False, True])
def test_bound_codes_keep_their_bound_and_use_it(act_order, k, seed):
    columns, hessian = problem(seed, k)
    grid = Grid("int8", 0, "fp32")
    config = QuantizationConfig(symmetric=True, pair_bound=True, act_order=act_order)
    rounded = round_matrix(np.ascontiguousarray(columns.T), grid, hessian, config)
    assert is_bound(rounded.levels, 4)
    plain = round_plainly(columns, grid, np.ones(k, np.float32), together=4)
    assert is_bound(plain.levels, 4)
    target = damped(hessian, 0.01)
    assert squared_error(rounded, columns, target).sum() < 0.4 * squared_error(plain, columns, target).sum()


@pytest.mark.parametrize("together", [2, 4])
def test_bound_codes_are_those_that_kernels_take(together, seed):
    values = np.random.default_rng(seed).uniform(-100, 100, (24, 300)).astype(np.float32)
    codes = np.empty_like(values)
    codes[side_by_side(24, together)] = snap_bound(values, np.ones(24, np.float32), together)
    assert is_bound(codes, together)
    assert not is_bound(values, together)
    groups = [(0, 1), (2, 3)] if together == 2 else [(0, 1, 4, 5), (2, 3, 6, 7), (16, 17, 20, 21)]
    for group in groups:
        part = codes[list(group)]
        assert np.maximum(part, 0).sum(axis=0).max() == BOUND
        assert np.minimum(part, 0).sum(axis=0).min() == -BOUND


@given(st.integers(0, 10_000))
def test_bound_codes_are_nearly_the_best_there_are(seed):
    random = np.random.default_rng(seed)
    values = random.uniform(-90, 90, (2, 3)).astype(np.float32)
    u = np.array([[random.uniform(0.5, 2), random.uniform(-1, 1)], [0, random.uniform(0.5, 2)]], np.float32)
    codes = round_bound(values, u)
    assert is_bound(codes, 2)
    every = np.arange(-127, 128)
    a, b = np.meshgrid(every, every)
    inside = (np.abs(a + b) <= BOUND) | (a * b < 0)

    def cost(i, one, two):
        error = (values[0, i] - one) / u[0, 0]
        return error**2 + ((values[1, i] - error * u[0, 1] - two) / u[1, 1]) ** 2

    for i in range(3):
        # A step of one code in either column is what rounding may miss by.
        step = max(1 / u[0, 0], 1 / u[1, 1], abs(u[0, 1] / u[0, 0] / u[1, 1]))
        found, least = np.sqrt(cost(i, *codes[:, i])), np.sqrt(cost(i, a, b)[inside].min())
        assert found <= least + 2 * step


def test_damping_is_raised_until_the_moments_can_be_factored(caplog, seed):
    _, hessian = problem(seed)
    broken = hessian.copy()
    broken[0, 0] = -0.05 * np.diagonal(hessian).mean()
    with caplog.at_level(logging.WARNING):
        factor = feedback_factor(broken, 0.01, "layer.weight")
    assert np.isfinite(factor).all()
    assert "damping raised" in caplog.text
    assert "layer.weight" in caplog.text
    u = feedback_factor(hessian, 0.01).astype(np.float64)
    np.testing.assert_allclose(u.T @ u @ damped(hessian, 0.01), np.eye(K), atol=1e-3)


def test_moments_that_no_damping_saves():
    with pytest.raises(QuantizationError, match="not finite"):
        feedback_factor(np.full((4, 4), np.nan), 0.01)
    with pytest.raises(QuantizationError, match="cannot be factored"):
        feedback_factor(np.diag([100.0, 1, -2000, 2000]), 0.01)
    np.testing.assert_array_equal(feedback_factor(np.zeros((4, 4)), 0.01), np.eye(4))


@pytest.mark.parametrize("kind", ["fp16", "u8", "e8m0", "e4m3"])
def test_stored_scales_are_near_and_never_zero(kind, rng):
    grid = Grid("fp4" if kind in ("e8m0", "e4m3") else "int4", 32, kind)
    wanted = np.exp(rng.uniform(-4, 1, (6, 9))).astype(np.float32)
    store = ScaleStore.covering(grid, wanted)
    found = store.nearest(wanted)
    step = {"fp16": 2.0**-11, "e8m0": 0.5, "e4m3": 2.0**-4}.get(kind)
    allowed = wanted * step if step else store.outer[:, None] * 0.5001
    assert (np.abs(found - wanted) <= np.maximum(allowed, 0)).all()
    assert (store.nearest(np.full_like(wanted, 1e-30)) > 0).all()
    np.testing.assert_array_equal(store.nearest(found), found)


def test_of_all_powers_of_two_the_best_is_found(rng):
    """One that is rounded down would cut off the value it was made for."""
    grid, ones = Grid("fp4", 32, "e8m0"), np.ones(32, np.float32)
    columns = rng.standard_normal((32, 200)).astype(np.float32)
    columns[7] *= 20
    found = ((round_plainly(columns, grid, ones).values() - columns) ** 2).sum(axis=0)
    levels = levels_of(grid)
    tried = [
        ((levels.snap(columns / np.float32(scale)) * np.float32(scale) - columns) ** 2).sum(axis=0)
        for scale in 2.0 ** np.arange(-10, 10)
    ]
    np.testing.assert_allclose(found, np.min(tried, axis=0), rtol=1e-5)
