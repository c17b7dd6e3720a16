"""Attention over pages: in full precision the bits of attention over rows, however the rows come."""

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
from tests.reference.attention import attention

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

OP = "cached_attention"
DIMS = [1, 8, 16, 20, 64, 80]
# Heads, heads of keys, window, cap: groups around the blocks of queries (4, 6, 8), windows around panels.
FORMS = [
    (1, 1, 0, 0.0),
    (4, 2, 0, 0.0),
    (7, 1, 0, 3.0),
    (9, 1, 17, 0.0),
    (16, 1, 1, 0.0),
    (6, 2, 16, 0.0),
    (3, 3, 21, 5.0),
]


def case(tokens: int, heads: int, key_heads: int, dim: int, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng([SEED, tokens, heads, dim])
    return (rng.standard_normal((tokens, (heads + 2 * key_heads) * dim)) * spread).astype(np.float32)


def run(name: str, qkv: np.ndarray, steps: list[int], heads: int, key_heads: int, **form) -> np.ndarray:
    """What comes of rows that are appended in these steps."""
    dim = qkv.shape[1] // (heads + 2 * key_heads)
    out = np.full((len(qkv), heads * dim), 77, np.float32)
    rows = np.cumsum([0, *steps], dtype=np.int32)
    _native.cached_attention_run(name, qkv, rows, heads, dim**-0.5, out, key_heads=key_heads, **form)
    return out


def rounded(qkv: np.ndarray, heads: int, key_heads: int) -> np.ndarray:
    """Keys and values as a cache of float16 holds them."""
    dim = qkv.shape[1] // (heads + 2 * key_heads)
    held = qkv.copy()
    held[:, heads * dim :] = np.clip(qkv[:, heads * dim :], -65504, 65504).astype(np.float16)
    return held


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped(OP)


@pytest.mark.parametrize("name", named(OP))
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("dim", DIMS)
def test_the_bits_of_attention_over_rows(name, form, dim):
    heads, key_heads, window, cap = form
    qkv = case(70, heads, key_heads, dim, 2.0)
    expected = np.empty((70, heads * dim), np.float32)
    _native.attention_run(
        scalar("attention"),
        qkv,
        np.array([0, 70], np.int32),
        heads,
        dim**-0.5,
        expected,
        key_heads=key_heads,
        causal=True,
        window=window,
        cap=cap,
    )
    for page in (16, 48, 128):
        got = run(name, qkv, [70], heads, key_heads, window=window, cap=cap, page_tokens=page)
        assert_same_bits(got, expected)


@pytest.mark.parametrize("name", named(OP))
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("kind", ["fp32", "fp16"])
def test_the_same_bits_however_rows_come(name, form, kind):
    heads, key_heads, window, cap = form
    qkv = case(70, heads, key_heads, 20)
    options = {"window": window, "cap": cap, "format": kind, "page_tokens": 32}
    whole = run(name, qkv, [70], heads, key_heads, **options)
    for steps in ([1] * 70, [3, 1, 0, 12, 16, 1, 37], [64, 6], [1, 69]):
        assert_same_bits(run(name, qkv, steps, heads, key_heads, **options), whole)


@pytest.mark.parametrize("name", named(OP))
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_half_precision_rounds_keys_and_values_alone(name, form):
    heads, key_heads, window, cap = form
    qkv = case(50, heads, key_heads, 24, 3.0)
    qkv[7, heads * 24 :: 3] *= 1e-6  # below the normal numbers of float16
    got = run(name, qkv, [20, 30], heads, key_heads, window=window, cap=cap, format="fp16")
    held = rounded(qkv, heads, key_heads)
    assert_same_bits(got, run(name, held, [20, 30], heads, key_heads, window=window, cap=cap))
    expected, bound = attention(
        held, [0, 50], heads, 24**-0.5, key_heads=key_heads, causal=True, window=window, cap=cap
    )
    assert (np.abs(got - expected) <= bound).all()


@pytest.mark.parametrize("name", named(OP))
def test_values_beyond_half_precision_become_its_largest(name):
    qkv = case(5, 2, 1, 16)
    qkv[2, 3 * 16 :] = [1e6, -1e6, np.inf, -np.inf, 65519, 65520, -65520, 1e-8, *[1.0] * 8]
    got = run(name, qkv, [5], 2, 1, format="fp16")
    assert_same_bits(got, run(name, rounded(qkv, 2, 1), [5], 2, 1))
    qkv[2, 3 * 16 + 9] = np.nan
    assert np.isnan(run(name, qkv, [5], 2, 1, format="fp16")[2:, 9]).all()


@pytest.mark.parametrize("name", others(OP))
@pytest.mark.parametrize("kind", ["fp32", "fp16"])
@pytest.mark.parametrize("spread", [1e-5, 1.0, 300.0])
def test_same_bits_as_scalar(name, kind, spread):
    for heads, key_heads in ((2, 2), (5, 1), (12, 1)):
        qkv = case(90, heads, key_heads, 72, spread)
        steps = [33, 1, 56]
        ours = run(name, qkv, steps, heads, key_heads, format=kind, page_tokens=32)
        theirs = run(scalar(OP), qkv, steps, heads, key_heads, format=kind, page_tokens=32)
        assert_same_bits(ours, theirs)


@pytest.mark.parametrize("name", others(OP))
def test_a_long_sequence(name):
    qkv = case(1500, 3, 1, 32)
    got = run(name, qkv, [1499, 1], 3, 1, page_tokens=64)
    expected, bound = attention(qkv, [0, 1500], 3, 32**-0.5, key_heads=1, causal=True)
    assert (np.abs(got - expected) <= bound).all()


@pytest.mark.parametrize("name", named(OP))
def test_what_a_window_leaves_behind_is_not_read(name):
    qkv = case(40, 4, 2, 16)
    form = {"window": 5, "page_tokens": 16}
    whole = run(name, qkv, [30, 10], 4, 2, **form)
    qkv[:25, 4 * 16 :] = np.nan
    assert_same_bits(run(name, qkv, [30, 10], 4, 2, **form)[30:], whole[30:])


def test_bad_shapes_are_refused():
    name = scalar(OP)
    qkv = np.zeros((3, 64), np.float32)
    for steps, form, what in [
        ([3], {"page_tokens": 17}, "multiple of 16"),
        ([3], {"page_tokens": 0}, "multiple of 16"),
        ([3], {"format": "fp8"}, "fp8"),
        ([3], {"window": -1}, "window"),
        ([2], {}, "last offset"),
    ]:
        with pytest.raises(InvalidArgumentError, match=what):
            run(name, qkv, steps, 2, 1, **form)
    with pytest.raises(InvalidArgumentError, match="do not divide"):
        _native.cached_attention_run(
            name, qkv, np.array([0, 3], np.int32), 3, 1.0, np.zeros((3, 24), np.float32), key_heads=2
        )


@pytest.mark.parametrize("name", named(OP))
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_int8_rounds_keys_and_values_alone(name, form):
    """Codes of each row's own step: half a step of error, and the bits of any steps."""
    heads, key_heads, window, cap = form
    qkv = case(50, heads, key_heads, 24, 3.0)
    qkv[9, heads * 24 :] = 0
    options = {"window": window, "cap": cap}
    got = run(name, qkv, [50], heads, key_heads, format="int8", **options)
    assert_same_bits(got, run(name, qkv, [1, 30, 19], heads, key_heads, format="int8", **options))
    held = qkv.copy()
    for first in range(heads * 24, held.shape[1], 24):
        rows = held[:, first : first + 24]
        step = (np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)).astype(np.float16)
        step = step.astype(np.float32)
        codes = np.rint(rows * np.divide(1, step, out=np.zeros_like(step), where=step > 0))
        held[:, first : first + 24] = codes.clip(-127, 127) * step
    # Scales are multiplied at another place of the sums.
    expected, bound = attention(
        held, [0, 50], heads, 24**-0.5, key_heads=key_heads, causal=True, window=window, cap=cap
    )
    assert (np.abs(got - expected) <= 2 * bound).all()


def shrunk(name: str, rows: np.ndarray, kind: str) -> np.ndarray:
    out = np.full_like(rows, 77)
    _native.cached_attention_shrink(name, rows, kind, out)
    return out


@pytest.mark.parametrize("name", named(OP))
@pytest.mark.parametrize("kind", ["k4v4", "k4v3"])
@pytest.mark.parametrize("dim", [8, 20, 64])
def test_small_pages_are_near(name, kind, dim):
    """Mean squared error on normal numbers, where the best uniform steps have 0.0115 and 0.0374."""
    rng = np.random.default_rng([SEED, dim])
    rows = rng.standard_normal((256, 2 * dim)).astype(np.float32) * np.exp2(rng.integers(-9, 9, (256, 1)))
    rows = rows.astype(np.float16).astype(np.float32)
    rows[3] = 0
    rows[5] = 6e4
    found = shrunk(name, rows, kind)
    assert_same_bits(found, shrunk(scalar(OP), rows, kind))
    assert (found[3] == 0).all()
    for half, most in ((slice(0, dim), 0.0125), (slice(dim, None), 0.0125 if kind == "k4v4" else 0.041)):
        error = ((found - rows)[:, half] ** 2).mean(axis=1) / np.maximum(
            (rows[:, half] ** 2).mean(axis=1), 1e-30
        )
        assert np.median(error) < most
        assert error.max() < 8 * most


@pytest.mark.parametrize("name", named(OP))
def test_small_pages_of_what_is_no_number_stay_finite(name):
    rows = case(32, 1, 1, 16)[:, :32].copy()
    rows[4, 3] = rows[6, 20] = np.nan
    found = shrunk(name, rows, "k4v3")
    assert_same_bits(found, shrunk(scalar(OP), rows, "k4v3"))


def test_bad_small_pages_are_refused():
    name = scalar(OP)
    for rows, kind, what in [
        (np.zeros((17, 32), np.float32), "k4v3", "multiple of 16"),
        (np.zeros((16, 31), np.float32), "k4v3", "keys and values"),
        (np.zeros((16, 32), np.float32), "fp16", "not small"),
    ]:
        with pytest.raises(InvalidArgumentError, match=what):
            shrunk(name, rows, kind)
    with pytest.raises(InvalidArgumentError, match="not written"):
        run(name, np.zeros((3, 64), np.float32), [3], 2, 1, format="k4v3")
