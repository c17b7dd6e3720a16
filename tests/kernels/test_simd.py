"""exp, 2^x and GELU of every instruction set over the whole range of float32."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.kernels.rows import assert_only_missing_isas_are_skipped, assert_same_bits, named, others, scalar

from arrowmind import _native

MAPS = ["exp", "exp2", "gelu"]
LOW, HIGH = np.float32(-87.3), np.float32(88.3)
# Every 6007th float32, NaNs and infinities among them, and a dense piece where all the curvature is.
SWEEP = np.arange(0, 2**32, 6007, dtype=np.uint64).astype(np.uint32).view(np.float32)
DENSE = np.linspace(-8, 8, 300_001, dtype=np.float32)
EDGES = np.array([0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan, LOW, HIGH], np.float32)
INPUTS = np.concatenate([SWEEP, DENSE, EDGES])


def run(name: str, x: np.ndarray) -> np.ndarray:
    y = np.full_like(x, 77)
    _native.simd_run(name, x, y)
    return y


def ulps(ours: np.ndarray, exact: np.ndarray) -> np.ndarray:
    return np.abs(ours - exact) / np.spacing(exact.astype(np.float32)).astype(np.float64)


def numbers(x: np.ndarray) -> np.ndarray:
    return x[~np.isnan(x)]


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("simd")


@pytest.mark.parametrize("name", named("simd", "simd_exp_"))
def test_exp(name):
    x = numbers(INPUTS)
    exact = np.exp(np.clip(x, LOW, HIGH).astype(np.float64))
    assert ulps(run(name, x), exact).max() <= 2


@pytest.mark.parametrize("name", named("simd", "simd_exp2_"))
def test_exp2(name):
    x = numbers(np.concatenate([INPUTS, DENSE * 16]))
    exact = np.exp2(np.clip(x, -126, 0).astype(np.float64))
    assert ulps(run(name, x), exact).max() <= 2
    assert (run(name, np.arange(-126, 1, dtype=np.float32)) == 2.0 ** np.arange(-126, 1)).all()


@pytest.mark.parametrize("name", named("simd", "simd_gelu_"))
def test_gelu(name):
    x = numbers(INPUTS)
    x = x[np.isfinite(x)].astype(np.float64)
    with np.errstate(over="ignore"):
        tail = np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2))
    error = np.abs(run(name, x.astype(np.float32)) - x * 0.5 * tail)
    assert (error <= 5e-7 * np.maximum(1, np.abs(x))).all()


@pytest.mark.parametrize("name", named("simd", "simd_gelu_"))
def test_gelu_far_out(name):
    y = run(name, np.array([np.inf, 3e38, 100, 6, 0, -6, -100, -3e38, -np.inf], np.float32))
    assert y[0] == np.inf
    assert np.allclose(y[1:4], [3e38, 100, 6], rtol=3e-7, atol=0)
    assert y[4] == 0
    assert (np.abs(y[5:]) < 2e-6).all()


@pytest.mark.parametrize("name", named("simd"))
def test_nan_for_nan_only(name):
    assert np.array_equal(np.isnan(run(name, INPUTS)), np.isnan(INPUTS))


@pytest.mark.parametrize("function", MAPS)
@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17, 33])
def test_any_size_and_in_place(function, size):
    x = DENSE[1000 : 1000 + size]
    for parameter in named("simd", f"simd_{function}_"):
        if parameter.marks:
            continue
        y = x.copy()
        _native.simd_run(parameter.values[0], y, y)
        assert_same_bits(y, run(parameter.values[0], DENSE)[1000 : 1000 + size])


@pytest.mark.parametrize("name", others("simd"))
def test_same_bits_as_scalar(name):
    oracle = scalar("simd", name[: name.rindex("_") + 1])
    assert_same_bits(run(name, INPUTS), run(oracle, INPUTS))
