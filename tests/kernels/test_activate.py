"""Every activation of the table against float64, and against each other to the last bit."""

from __future__ import annotations

import math

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
from tests.reference.tolerance import UNIT

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

CAP = 30.0
_phi = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))


def silu(x):
    return x / (1 + np.exp(-x)), 5 * UNIT * 2 * np.abs(x / (1 + np.exp(-x)))


def gelu(x):
    return x * _phi(x), 5e-7 * np.maximum(1, np.abs(x))


def gelu_tanh(x):
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(inner)), 1e-6 * np.maximum(1, np.abs(x))


def cap(x):
    return CAP * np.tanh(x / CAP), np.full_like(x, 1e-6 * CAP)


def quick_gelu(x):
    return x / (1 + np.exp(-1.702 * x)), 1e-6 * np.maximum(1, np.abs(x))


KINDS = [silu, gelu, gelu_tanh, cap, quick_gelu]  # in the order of activate::Kind


def run(name: str, kind: int, x: np.ndarray, up: np.ndarray | None) -> np.ndarray:
    out = np.full_like(x, 77)
    _native.activate_run(name, kind, x, up, CAP, out)
    return out


def case(width: int, rows: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED + width)
    x = rng.standard_normal((rows, width)) * 10.0 ** rng.integers(-4, 2, (rows, width))
    return x.astype(np.float32), rng.standard_normal((rows, width)).astype(np.float32)


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("activate")


@pytest.mark.parametrize("name", named("activate"))
@pytest.mark.parametrize("kind", range(len(KINDS)))
@pytest.mark.parametrize("width", [1, 15, 16, 17, 129])
def test_matches_float64(name, kind, width):
    x, up = case(width)
    expected, bound = KINDS[kind](x.astype(np.float64))
    assert (np.abs(run(name, kind, x, None) - expected) <= bound).all()
    bound = (bound + UNIT * np.abs(expected)) * np.abs(up)
    assert (np.abs(run(name, kind, x, up) - expected * up) <= bound).all()


@pytest.mark.parametrize("name", others("activate"))
@pytest.mark.parametrize("kind", range(len(KINDS)))
@pytest.mark.parametrize("width", WIDTHS)
def test_same_bits_as_scalar(name, kind, width):
    x, up = case(width)
    for value, place in ((np.nan, 0), (np.inf, 1), (-np.inf, 2)):
        x[place, width // 2] = value
    for one in (up, None):
        assert_same_bits(run(name, kind, x, one), run(scalar("activate"), kind, x, one))


@pytest.mark.parametrize("name", named("activate"))
@pytest.mark.parametrize(
    ("kind", "low", "high"), [(0, 0, 500), (1, 0, 500), (2, 0, 500), (3, -CAP, CAP), (4, 0, 500)]
)
def test_far_values_end_where_the_function_does(name, kind, low, high):
    found = run(name, kind, np.array([[-500, 500]], np.float32), None)[0]
    assert (np.abs(found - [low, high]) <= 5e-7 * 500).all()


def test_in_place_and_bad_shapes():
    x, up = case(33)
    expected = run("activate_f32_scalar", 0, x, up)
    _native.activate_run("activate_f32_scalar", 0, x, up, 0.0, x)
    assert_same_bits(x, expected)
    with pytest.raises(InvalidArgumentError, match="shape"):
        run("activate_f32_scalar", 0, x, up[:1])
