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
from tests.reference.quantise import SMALLEST, quantise

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError


def limit_of(name: str, width: int) -> int:
    return 127 if "_i8_" in name else _native.qmatmul_activation_limit(width)


def run(name: str, x: np.ndarray, limit: int | None = None, extra: int = 0):
    """Codes, scales and sums; `extra` elements of stride behind the padded row are checked to stay."""
    rows, width = x.shape
    padded = -(-width // 4) * 4
    codes = np.full((rows, padded + extra), 77, np.int8 if "_i8_" in name else np.int16)
    scales, sums = np.full(rows, 77, np.float32), np.full(rows, 77, np.int32)
    _native.quantise_run(name, x, codes, scales, sums, limit or limit_of(name, width))
    assert (codes[:, padded:] == 77).all()
    return codes[:, :padded], scales, sums


def check(name: str, x: np.ndarray, extra: int = 0) -> None:
    limit = limit_of(name, x.shape[1])
    codes, scales, sums = run(name, x, extra=extra)
    expected = quantise(x, limit, codes.dtype.type)
    for ours, theirs in zip((codes, scales), expected[:2], strict=True):
        assert_same_bits(ours, theirs)
    assert np.array_equal(sums, expected[2])


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("quantise")


@pytest.mark.parametrize("name", named("quantise"))
@pytest.mark.parametrize("width", [*WIDTHS, 1536, 4100])
def test_matches_numpy(name, width):
    rng = np.random.default_rng(SEED + width)
    x = rng.standard_normal((6, width)) * 10.0 ** rng.integers(-20, 20, (6, 1))
    check(name, x.astype(np.float32), extra=8)


@pytest.mark.parametrize("name", named("quantise"))
def test_ties_go_to_even(name):
    halves = np.arange(-40.5, 41, 1, np.float32)
    x = np.append(halves, np.float32(limit_of(name, halves.size + 1)))[None]
    codes, scales, _ = run(name, x)
    assert scales[0] == 1
    assert np.array_equal(codes[0, : halves.size], np.rint(halves))


@pytest.mark.parametrize("name", named("quantise"))
def test_rows_without_magnitude_are_zero(name):
    x = np.zeros((4, 37), np.float32)
    x[1, 5] = -0.0
    x[2, 5] = 1e-40  # subnormal
    x[3, 5] = np.nextafter(SMALLEST, np.float32(0))
    codes, scales, sums = run(name, x)
    assert not codes.any()
    assert not scales.any()
    assert not sums.any()
    x[3, 5] = SMALLEST
    codes, scales, _ = run(name, x)
    assert codes[3, 5] == limit_of(name, 37)
    assert scales[3] > 0


@pytest.mark.parametrize("name", named("quantise"))
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 15, 16, 31, 47, 48, 52])
def test_nan_and_infinity_stay_in_their_row_and_show(name, bad, place):
    x = np.random.default_rng(SEED).standard_normal((3, 53)).astype(np.float32)
    x[1, place] = bad
    check(name, x)
    _, scales, _ = run(name, x)
    assert np.isnan(scales).tolist() == [False, True, False]


@pytest.mark.parametrize("name", named("quantise"))
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_at_their_largest(name, sign):
    for width in (1, 384, 1536, 4096, 65536):
        x = np.full((1, width), sign * 3.4e38, np.float32)
        limit = limit_of(name, width)
        codes, _, sums = run(name, x)
        assert (codes == sign * limit)[:, :width].all()
        assert sums[0] == sign * limit * width


@pytest.mark.parametrize("name", named("quantise"))
def test_no_rows(name):
    check(name, np.zeros((0, 16), np.float32))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=1, max_size=70),
    st.booleans(),
)
def test_any_row(values, wide):
    x = np.array([values], np.float32)
    for parameter in named("quantise", "quantise_f32_i16_" if wide else "quantise_f32_i8_"):
        if not parameter.marks:
            check(parameter.values[0], x)


def test_bad_calls_are_refused():
    x, scale = np.zeros((2, 5), np.float32), np.zeros(2, np.float32)
    good = np.zeros((2, 8), np.int8)
    run_ = _native.quantise_run
    name = "quantise_f32_i8_scalar"
    with pytest.raises(InvalidArgumentError, match="padded"):
        run_(name, x, np.zeros((2, 5), np.int8), scale)
    with pytest.raises(InvalidArgumentError, match="item size"):
        run_(name, x, np.zeros((2, 8), np.int16), scale)
    with pytest.raises(InvalidArgumentError, match="limit"):
        run_(name, x, good, scale, limit=128)
    with pytest.raises(InvalidArgumentError, match="limit"):
        run_(name, x, good, scale, limit=0)
    with pytest.raises(InvalidArgumentError, match="scale"):
        run_(name, x, good, scale[:1])
    with pytest.raises(InvalidArgumentError, match="exact sums"):
        wide = np.zeros((1, 65540), np.float32)
        run_("quantise_f32_i16_scalar", wide, np.zeros(wide.shape, np.int16), scale[:1], limit=32767)
