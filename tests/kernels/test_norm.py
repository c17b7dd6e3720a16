"""Every layer norm of the table against float64, and against each other to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.kernels.rows import (
    SEED,
    WIDTHS,
    assert_only_missing_isas_are_skipped,
    assert_same_bits,
    named,
    others,
    scalar,
)
from tests.reference.norm import layer_norm, rms_norm

from arrowmind import _native

EPS = 1e-12


def run(name: str, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray | None, eps: float = EPS) -> np.ndarray:
    y = np.full_like(x, 77)
    _native.norm_run(name, x, gamma, beta, eps, y)
    return y


def case(width: int, rows: int = 5, offset: float = 0.0):
    rng = np.random.default_rng(SEED + width)
    x = rng.standard_normal((rows, width)) * 10.0 ** rng.integers(-3, 4, (rows, 1)) + offset
    return (a.astype(np.float32) for a in (x, rng.standard_normal(width), rng.standard_normal(width)))


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("norm")


@pytest.mark.parametrize("name", named("norm"))
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_matches_float64(name, width, offset):
    x, gamma, beta = case(width, offset=offset)
    expected, bound = layer_norm(x, gamma, beta, EPS)
    # eps may vanish against a variance that is zero by rounding alone: one element has no variance at all.
    if width > 1:
        assert (np.abs(run(name, x, gamma, beta) - expected) <= bound).all()
    else:
        assert np.array_equal(run(name, x, gamma, beta), np.broadcast_to(beta, x.shape))


@pytest.mark.parametrize("name", others("norm"))
@pytest.mark.parametrize("width", WIDTHS)
def test_same_bits_as_scalar(name, width):
    x, gamma, beta = case(width)
    assert_same_bits(run(name, x, gamma, beta), run(scalar("norm"), x, gamma, beta))


@pytest.mark.parametrize("name", named("norm"))
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("rows", [1, 5])
def test_rms_matches_float64(name, width, rows):
    x, gamma, _ = case(width, rows)
    expected, bound = rms_norm(x, gamma, EPS)
    assert (np.abs(run(name, x, gamma, None) - expected) <= bound).all()


@pytest.mark.parametrize("name", others("norm"))
@pytest.mark.parametrize("width", WIDTHS)
def test_rms_has_the_same_bits_as_scalar(name, width):
    x, gamma, _ = case(width)
    x[1, width // 2] = np.inf
    assert_same_bits(run(name, x, gamma, None), run(scalar("norm"), x, gamma, None))


@pytest.mark.parametrize("name", named("norm"))
def test_equal_elements_give_beta(name):
    x = np.repeat(np.array([[0.0], [1.0], [-3.0]], np.float32), 64, axis=1)
    gamma, beta = np.full(64, 2, np.float32), np.arange(64, dtype=np.float32)
    assert np.array_equal(run(name, x, gamma, beta), np.broadcast_to(beta, x.shape))


@pytest.mark.parametrize("name", named("norm"))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_row(name, bad):
    x, gamma, beta = case(50, rows=3)
    clean = run(name, x, gamma, beta)
    x[1, 49] = bad
    y = run(name, x, gamma, beta)
    assert np.isnan(y[1]).all()
    assert_same_bits(y[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("name", named("norm"))
def test_in_place(name):
    x, gamma, beta = case(389)
    expected = run(name, x, gamma, beta)
    _native.norm_run(name, x, gamma, beta, EPS, x)
    assert_same_bits(x, expected)


@pytest.mark.parametrize("name", named("norm"))
def test_no_rows(name):
    ones = np.ones(5, np.float32)
    assert run(name, np.zeros((0, 5), np.float32), ones, ones).shape == (0, 5)
