"""linear_bf16_<weights> of csrc/device/kernels.h, and its large tiles, where a device has them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.device.bench import needs
from tests.device.test_grouped_kernels import COUNTS, MANY, Groups
from tests.device.test_linear_kernels import (
    EXTRAS,
    ON_GRIDS,
    PLAIN,
    SHAPES,
    agrees,
    generator,
    grid_operands,
    plain_operands,
    plain_problem,
    rounded_rows,
    run_grid,
    run_plain,
)
from tests.kernels.rows import assert_same_bits
from tests.reference.grid import grids_of, random_problem
from tests.reference.qmatmul import Form, Problem

# A rounding to 8 bits is off by at most this share.
UNIT = 2.0**-8
TILES = ["", "_wide", "_wgmma"]
# Of two tiles of 256 outputs and 128 rows, and of several chunks of 64 k.
WIDE = [(130, 270, 70), (35, 17, 260)]
ROUNDED = ("f32", "f16")
"""Weights that are not exact in bfloat16."""


def nearest(values: np.ndarray) -> np.ndarray:
    """Bfloat16, ties to even, as float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize(("rows", "k", "more"), [(1, 64, 0), (5, 37, 3), (9, 200, 0), (130, 70, 1)])
def test_rows_are_put_into_the_order_of_products(bench, rows, k, more):
    """What round_rows of csrc/device/kernels.h says, number by number; nothing beyond k is looked at."""
    needs(bench, "round_rows")
    a = np.full((rows, k + more), np.nan, np.float32)
    a[:, :k] = generator(rows, k).standard_normal((rows, k))
    a[0, 0] = np.inf
    found = rounded_rows(bench, a, k)
    whole = np.zeros((rows, found.shape[1]), np.float32)
    whole[:, :k] = nearest(a[:, :k])
    t, s, h, i = np.ix_(*map(np.arange, (4, 4, 2, 2)))
    places = (16 * s + 8 * h + 2 * t + i).reshape(-1)
    expected = np.zeros_like(found).reshape(rows, -1, 64)
    expected[:, :, places] = (whole.view(np.uint32) >> 16).reshape(rows, -1, 64)
    np.testing.assert_array_equal(found, expected.reshape(rows, -1))


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("weight", PLAIN)
def test_rows_are_rounded_and_nothing_else(bench, weight, tile):
    """As float32 products of what bfloat16 holds; and of what was given, off by what two roundings cost."""
    name = f"linear_bf16_{weight}{tile}"
    needs(bench, name)
    for i, shape in enumerate(SHAPES + WIDE if tile else SHAPES):
        for zeros in (False, True) if weight == "i8" else (False,):
            problem = plain_problem(Form("fp32", PLAIN[weight]), shape, EXTRAS[i % len(EXTRAS)], zeros)
            w = nearest(problem.w) if weight in ROUNDED else problem.w
            form = Form("fp32", "fp32") if weight in ROUNDED else problem.form
            found = run_plain(bench, name, problem)
            agrees(found, *replace(problem, form=form, a=nearest(problem.a), w=w).expected())
            if not problem.gelu:
                value, bound = problem.expected()
                real = np.abs(
                    problem.w.astype(np.float64) - (0 if problem.w_zero is None else problem.w_zero[:, None])
                )
                size = np.abs(problem.a) @ real.T * (1 if problem.w_scale is None else problem.w_scale)
                share = 2 * UNIT + UNIT**2 if weight in ROUNDED else UNIT
                agrees(found, value, bound + share * size)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("weight", ON_GRIDS)
def test_grids(bench, weight, tile):
    name = f"linear_bf16_{weight}{tile}"
    needs(bench, name)
    shapes = SHAPES + WIDE if tile else SHAPES
    for i, grid in enumerate(grids_of(ON_GRIDS[weight])):
        shape = shapes[i % len(shapes)]
        problem = random_problem(generator(grid, shape), grid, shape, False)
        value, bound = replace(problem, a=nearest(problem.a)).expected()
        if tile:  # levels times scales are rounded, too
            bound = bound + UNIT * np.abs(nearest(problem.a)) @ np.abs(problem.weights.values()).T
        agrees(run_grid(bench, name, problem), value, bound)


@pytest.mark.parametrize("weight", [*PLAIN, *ON_GRIDS])
def test_groups_of_rows_with_a_matrix_each(bench, weight):
    name = f"linear_bf16_{weight}_grouped"
    needs(bench, name)
    if weight in PLAIN:
        form = Form("fp32", PLAIN[weight])
        problems = [plain_problem(form, (max(count, 1), 20, 37), (), weight == "i8") for count in COUNTS]
        found = Groups(problems, plain_operands).run(bench, name, MANY)
    else:
        grid = grids_of(ON_GRIDS[weight])[-1]
        rng = generator(grid, "groups")
        problems = [random_problem(rng, grid, (max(count, 1), 20, 150), False) for count in COUNTS]
        found = Groups(problems, grid_operands).run(bench, name, MANY)
    for result, problem, count in zip(found, problems, COUNTS, strict=True):
        same = replace(problem, a=nearest(problem.a))
        if weight in ROUNDED:
            same = replace(same, form=Form("fp32", "fp32"), w=nearest(problem.w))
        agrees([result], *(part[:count] for part in same.expected()))


@pytest.mark.parametrize("tile", TILES)
def test_scales_of_powers_of_two_cost_float4_nothing(bench, tile):
    """MXFP4 is exact in bfloat16, in either tile."""
    name = f"linear_bf16_fp4g{tile}"
    needs(bench, name)
    for grid in grids_of(ON_GRIDS["fp4g"]):
        if grid.scale_type != "e8m0":
            continue
        problem = random_problem(generator(grid), grid, (35, 33, 260), False)
        agrees(run_grid(bench, name, problem), *replace(problem, a=nearest(problem.a)).expected())


@pytest.mark.parametrize("tile", TILES)
def test_ties_go_to_even_and_the_largest_to_infinity(bench, tile):
    name = f"linear_bf16_bf16{tile}"
    needs(bench, name)
    steps = np.arange(-64, 64, dtype=np.float32)
    a = np.concatenate([1 + steps / 512, (3 + steps / 256) * 2.0**-130, np.full(128, 3.4e38)])
    a = np.tile(a.astype(np.float32), (9, 1))
    a[:, 256:] *= np.where(np.arange(128) % 2, 1, 0.5).astype(np.float32)
    w = np.eye(a.shape[1], dtype=np.float32)
    a[:, 256:] = nearest(a[:, 256:] / 2)  # an infinity times 0 elsewhere would be NaN
    found = run_plain(bench, name, Problem(Form("fp32", "bf16"), a, w))[0]
    np.testing.assert_array_equal(found, nearest(a))
    one = np.full((9, 1), np.finfo(np.float32).max)
    (found,) = run_plain(bench, name, Problem(Form("fp32", "bf16"), one, np.ones((1, 1), np.float32)))
    assert np.isposinf(found).all()


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("weight", ["f32", "i8"])
def test_a_damaged_row_stays_alone(bench, weight, tile):
    name = f"linear_bf16_{weight}{tile}"
    needs(bench, name)
    problem = plain_problem(Form("fp32", PLAIN[weight]), (11, 20, 40), ("bias",), False)
    whole = run_plain(bench, name, problem)[0]
    problem.a[4, 7] = np.nan
    damaged = run_plain(bench, name, problem)[0]
    assert np.isnan(damaged[4]).all()
    rest = np.arange(11) != 4
    assert_same_bits(damaged[rest], whole[rest])


@pytest.mark.parametrize("tile", TILES)
def test_zero_points_beyond_codes_and_between_them(bench, tile):
    """What no code can hold is taken off the sums, with rows as they are; in large tiles of halves, too."""
    name = f"linear_bf16_i8{tile}"
    needs(bench, name)
    problem = plain_problem(Form("fp32", "int8"), (35, 20, 100), (), True)
    zeros = np.linspace(-300, 300, 20).astype(np.float32)
    zeros = zeros if tile else np.rint(zeros)
    inner = np.rint(np.clip(zeros, -128, 127)).astype(np.float64)
    rows, exact = nearest(problem.a).astype(np.float64), problem.a.astype(np.float64)
    w = problem.w - inner[:, None]
    value = rows @ w.T - exact.sum(axis=1)[:, None] * (zeros - inner)
    size = np.abs(rows) @ np.abs(w).T + np.abs(exact).sum(axis=1)[:, None] * np.abs(zeros - inner)
    found = run_plain(bench, name, replace(problem, w_zero=zeros))
    agrees(found, value * problem.w_scale, 104 * 2.0**-24 * size * problem.w_scale)
