"""Codes and back: bounds that hold for every matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from arrowmind.quantize.scheme import MAX_CODE, Quantized, dequantize, parameters, quantize

finite = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=True)
matrices = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=finite)


def full_range(matrix: np.ndarray, *, symmetric: bool) -> Quantized:
    low, high = matrix.min(axis=1).astype(np.float64), matrix.max(axis=1).astype(np.float64)
    scales, zeros = parameters(low, high, symmetric=symmetric)
    return Quantized(quantize(matrix, scales, zeros), scales, zeros)


@pytest.mark.parametrize("symmetric", [True, False])
@given(matrix=matrices)
@example(matrix=np.zeros((2, 3), np.float32))
@example(matrix=np.array([[1.0, 1.0]], np.float32))
@example(matrix=np.array([[np.finfo(np.float32).max, np.finfo(np.float32).min]], np.float32))
@example(matrix=np.array([[1e-45, 0.0]], np.float32))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_error_is_within_the_step(symmetric, matrix):
    quantized = full_range(matrix, symmetric=symmetric)
    codes = quantized.codes.astype(np.int32)
    assert np.abs(codes).max() <= MAX_CODE
    assert np.isfinite(quantized.scales).all()
    assert (quantized.scales > 0).all()
    scales = quantized.scales.astype(np.float64)[:, None]
    zeros = 0.0 if quantized.zero_points is None else quantized.zero_points.astype(np.float64)[:, None]
    error = np.abs((codes - zeros) * scales - matrix)
    # Half a step for rounding the value; asymmetric: another half for rounding the zero point, at the ends.
    # The quotient's own rounding adds 2^-24 of a value of at most 254 steps.
    steps = (0.5 if symmetric else 1.0) + 254 * 2.0**-23
    assert (error <= steps * scales).all()


@given(matrix=matrices)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_symmetric_codes_mirror(matrix):
    left, right = full_range(matrix, symmetric=True), full_range(-matrix, symmetric=True)
    assert np.array_equal(left.codes, -right.codes)
    assert np.array_equal(left.scales, right.scales)


@given(matrix=matrices)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_quantising_again_changes_nothing(matrix):
    first = full_range(matrix, symmetric=True)
    with np.errstate(over="ignore"):
        values = dequantize(first)
    again = quantize(values, first.scales)
    assert np.array_equal(first.codes, again)


def test_zero_stays_zero_and_zero_points_are_whole():
    matrix = np.array([[0.0, 3.0, 10.0], [-7.0, 0.0, -2.0], [5.0, 6.0, 0.0]], np.float32)
    quantized = full_range(matrix, symmetric=False)
    values = dequantize(quantized)
    assert (values[matrix == 0] == 0).all()
    zeros = quantized.zero_points
    assert np.array_equal(zeros, np.rint(zeros))
    assert np.array_equal(zeros, [-127, 127, -127])
