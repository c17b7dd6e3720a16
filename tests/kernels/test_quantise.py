"""Every quantise kernel of the table against NumPy, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.rows import (
    SEED,
    WIDTHS,
    assert_only_missing_isas_are_skipped,
    assert_same_bits,
    named,
)
from tests.reference.quantise import SMALLEST, Codes, quantise

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

WIDE, NARROW = named("quantise", "quantise_f32_i16_"), named("quantise", "quantise_f32_i8_")


def limit_of(width: int) -> int:
    return _native.qmatmul_activation_limit(width)


def run(name: str, x: np.ndarray, multiplier: np.ndarray | None = None, extra: int = 0) -> Codes:
    """What a kernel makes of rows; `extra` elements of stride behind the padded row are checked to stay."""
    rows, width = x.shape
    padded = -(-width // 4) * 4
    codes = np.full((rows, padded + extra), 77, np.int8 if "_i8_" in name else np.int16)
    scales = np.full(rows, 77, np.float32)
    sums, zeros = np.full(rows, 77, np.int32), np.full(rows, 77, np.int32)
    _native.quantise_run(name, x, codes, scales, sums, zeros, multiplier, limit_of(width))
    assert (codes[:, padded:] == 77).all()
    return Codes(codes[:, :padded], scales, sums, zeros)


def check(name: str, x: np.ndarray, multiplier: np.ndarray | None = None, extra: int = 0) -> None:
    ours = run(name, x, multiplier, extra)
    expected = quantise(x, limit_of(x.shape[1]), ours.codes.dtype.type, multiplier)
    assert_same_bits(ours.codes, expected.codes)
    assert_same_bits(ours.scales, expected.scales)
    assert np.array_equal(ours.sums, expected.sums)
    assert np.array_equal(ours.zeros, expected.zeros)


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("quantise")


@pytest.mark.parametrize("name", WIDE + NARROW)
@pytest.mark.parametrize("width", [*WIDTHS, 1536, 4100])
def test_matches_numpy(name, width):
    rng = np.random.default_rng(SEED + width)
    x = rng.standard_normal((6, width)) * 10.0 ** rng.integers(-20, 20, (6, 1))
    check(name, x.astype(np.float32), extra=8)


@pytest.mark.parametrize("name", WIDE + NARROW)
@pytest.mark.parametrize("width", [*WIDTHS, 1536])
def test_columns_are_multiplied_first(name, width):
    rng = np.random.default_rng(SEED + width)
    x = rng.standard_normal((5, width)).astype(np.float32)
    check(name, x, np.exp(rng.standard_normal(width)).astype(np.float32))


@pytest.mark.parametrize("name", WIDE)
def test_ties_go_to_even_in_symmetric_codes(name):
    halves = np.arange(-40.5, 41, 1, np.float32)
    x = np.append(halves, np.float32(limit_of(halves.size + 1)))[None]
    ours = run(name, x)
    assert ours.scales[0] == 1
    assert np.array_equal(ours.codes[0, : halves.size], np.rint(halves))


@pytest.mark.parametrize("name", NARROW)
def test_codes_span_the_row(name):
    ours = run(name, np.array([[-55.0, 200.0, 0.0, 0.5, 1.5, -0.5]], np.float32))
    assert ours.scales[0] == 1
    assert ours.zeros[0] == -73
    assert ours.codes[0, :6].tolist() == [-128, 127, -73, -72, -72, -74]  # ties to even: -72.5, -71.5, -73.5
    assert ours.sums[0] == 200 - 55 + 1 + 1 - 1
    for sign in (1, -1):  # zero is always within
        ours = run(name, np.full((1, 5), sign * 3.0, np.float32))
        assert ours.zeros[0] == (-128 if sign > 0 else 127)
        assert (ours.codes[0, :5] == (127 if sign > 0 else -128)).all()
        assert (ours.codes[0, 5:] == 0).all()


@pytest.mark.parametrize("name", WIDE + NARROW)
def test_rows_without_magnitude_are_zero(name):
    x = np.zeros((4, 37), np.float32)
    x[1, 5] = -0.0
    x[2, 5] = 1e-40  # subnormal
    x[3, 5] = np.nextafter(SMALLEST, np.float32(0))
    for values in run(name, x):
        assert not values.any()
    x[3, 5] = SMALLEST
    ours = run(name, x)
    assert ours.codes[3, 5] == np.iinfo(ours.codes.dtype).max or ours.codes[3, 5] == limit_of(37)
    assert ours.scales[3] > 0


@pytest.mark.parametrize("name", WIDE + NARROW)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 15, 16, 31, 47, 48, 52])
def test_nan_and_infinity_stay_in_their_row_and_show(name, bad, place):
    x = np.random.default_rng(SEED).standard_normal((3, 53)).astype(np.float32)
    x[1, place] = bad
    check(name, x)
    assert np.isnan(run(name, x).scales).tolist() == [False, True, False]


@pytest.mark.parametrize("name", NARROW)
def test_a_span_that_overflows_shows(name):
    x = np.array([[-3e38, 3e38], [-3e38, 0]], np.float32)
    check(name, x)
    assert np.isnan(run(name, x).scales).tolist() == [True, False]


@pytest.mark.parametrize("name", WIDE + NARROW)
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_at_their_largest(name, sign):
    for width in (1, 384, 1536, 4096, 65536):
        x = np.full((1, width), sign * 3.4e38, np.float32)
        largest = 255 if "_i8_" in name else limit_of(width)
        ours = run(name, x)
        assert (ours.codes[:, :width] - np.int64(ours.zeros[0]) == sign * largest).all()
        assert ours.sums[0] == sign * largest * width


@pytest.mark.parametrize("name", WIDE + NARROW)
def test_no_rows(name):
    check(name, np.zeros((0, 16), np.float32))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=1, max_size=70),
    st.booleans(),
)
def test_any_row(values, wide):
    x = np.array([values], np.float32)
    for parameter in WIDE if wide else NARROW:
        if not parameter.marks:
            check(parameter.values[0], x)


def test_bad_calls_are_refused():
    x, scale = np.zeros((2, 5), np.float32), np.zeros(2, np.float32)
    good, zero = np.zeros((2, 8), np.int8), np.zeros(2, np.int32)
    run_ = _native.quantise_run
    name, wide_name = "quantise_f32_i8_scalar", "quantise_f32_i16_scalar"
    with pytest.raises(InvalidArgumentError, match="padded"):
        run_(name, x, np.zeros((2, 5), np.int8), scale, zero=zero)
    with pytest.raises(InvalidArgumentError, match="item size"):
        run_(name, x, np.zeros((2, 8), np.int16), scale, zero=zero)
    for limit in (0, 32768):
        with pytest.raises(InvalidArgumentError, match="limit"):
            run_(wide_name, x, np.zeros((2, 8), np.int16), scale, limit=limit)
    with pytest.raises(InvalidArgumentError, match="scale"):
        run_(name, x, good, scale[:1], zero=zero)
    with pytest.raises(InvalidArgumentError, match="need zero"):
        run_(name, x, good, scale)
    with pytest.raises(InvalidArgumentError, match="multiplier"):
        run_(name, x, good, scale, zero=zero, multiplier=scale)
    with pytest.raises(InvalidArgumentError, match="exact sums"):
        wide = np.zeros((1, 65540), np.float32)
        run_("quantise_f32_i16_scalar", wide, np.zeros(wide.shape, np.int16), scale[:1], limit=32767)
