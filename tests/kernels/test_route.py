"""Every router of the table against float64 and each other."""

from __future__ import annotations

import numpy as np
import pytest
from tests.kernels.rows import (
    SEED,
    assert_only_missing_isas_are_skipped,
    assert_same_bits,
    named,
    others,
    scalar,
)
from tests.reference.route import route
from tests.reference.tolerance import UNIT

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

# Experts, how many are chosen, and how.
ROUTERS = [
    (1, 1, {"score": "sigmoid"}),
    (8, 2, {"normalised": True}),
    (15, 15, {}),
    (17, 3, {"score": "sigmoid", "factor": 1.5}),
    (60, 4, {}),
    (128, 8, {"normalised": True}),
    (64, 6, {"groups": 8, "kept": 3, "factor": 16.0}),
    (256, 8, {"score": "sigmoid", "bias": True, "groups": 8, "kept": 4, "group_score": "two-largest"}),
    (48, 4, {"score": "sigmoid", "bias": True, "groups": 4, "kept": 2, "normalised": True, "factor": 2.5}),
    (1024, 8, {}),
]


def case(experts: int, options: dict, rows: int = 9) -> tuple[np.ndarray, dict]:
    rng = np.random.default_rng(SEED + experts)
    x = rng.normal(0, 2, (rows, experts)).astype(np.float32)
    bias = rng.uniform(0, 0.5, experts).astype(np.float32) if options.get("bias") else None
    return x, {**options, "bias": bias}


def run(name: str, x: np.ndarray, top: int, options: dict) -> np.ndarray:
    out = np.full((len(x), 2 * top), np.nan, np.float32)
    _native.route_run(name, x, out, top, **options)
    return out


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("route")


@pytest.mark.parametrize("name", named("route"))
@pytest.mark.parametrize(("experts", "top", "options"), ROUTERS)
def test_matches_float64(name, experts, top, options):
    x, options = case(experts, options)
    found = run(name, x, top, options)
    chosen, weights = route(x, top, **options)
    assert np.array_equal(found[:, :top], chosen)
    # An exponential of 2 ulp (of its argument, which was rounded at |x| <= 16), a sum, and some products.
    assert (np.abs(found[:, top:] - weights) <= 40 * UNIT * weights).all()


@pytest.mark.parametrize("name", others("route"))
@pytest.mark.parametrize(("experts", "top", "options"), ROUTERS)
def test_same_bits_as_scalar(name, experts, top, options):
    x, options = case(experts, options)
    x[1, experts // 2] = np.nan
    x[2, 0] = np.inf
    x[3, -1] = -np.inf
    assert_same_bits(run(name, x, top, options), run(scalar("route"), x, top, options))


@pytest.mark.parametrize("name", named("route"))
def test_ties_go_to_the_first(name):
    x = np.zeros((2, 24), np.float32)
    x[1, [5, 9, 20]] = 1.0
    assert run(name, x, 4, {})[:, :4].tolist() == [[0, 1, 2, 3], [5, 9, 20, 0]]
    grouped = run(name, x, 4, {"groups": 6, "kept": 2})
    assert grouped[:, :4].tolist() == [[0, 1, 2, 3], [5, 9, 4, 6]]
    pairs = run(name, x, 4, {"groups": 6, "kept": 2, "group_score": "two-largest"})
    assert pairs[:, :4].tolist() == [[0, 1, 2, 3], [5, 9, 4, 6]]


@pytest.mark.parametrize("name", named("route"))
def test_a_nan_stays_in_its_row_and_experts_stay_valid(name):
    x, options = case(64, {"groups": 8, "kept": 3})
    x[4, 11] = np.nan
    found = run(name, x, 6, options)
    assert np.isnan(found[4, 6:]).all()
    assert set(found[4, :6]) <= set(range(64))
    assert len(set(found[4, :6])) == 6
    assert np.isfinite(found[np.arange(9) != 4]).all()


@pytest.mark.parametrize(
    ("top", "options", "what"),
    [
        (9, {}, "chooses 9 of 8 experts"),
        (0, {}, "chooses 0 of 8"),
        (2, {"groups": 3}, "keeps 1 of 3 groups of 8 experts"),
        (2, {"groups": 4, "kept": 5}, "keeps 5 of 4 groups"),
        (3, {"groups": 4, "kept": 1}, "chooses 3 of 2 experts"),
        (2, {"groups": 8, "kept": 4, "group_score": "two-largest"}, "no two best"),
        (2, {"score": "tanh"}, "router scores 'tanh'"),
        (2, {"group_score": "mean"}, "group scores 'mean'"),
        (2, {"bias": np.zeros(7, np.float32)}, "a bias for each expert"),
    ],
)
def test_routers_that_cannot_be(top, options, what):
    with pytest.raises(InvalidArgumentError, match=what):
        run("route_f32_scalar", np.zeros((1, 8), np.float32), top, options)
