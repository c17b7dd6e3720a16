"""Every attention kernel of the table against float64, and against each other to the last bit."""

from __future__ import annotations

import itertools

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

# Lengths around blocks of queries (4, 6, 8) and panels of keys (16, 32); an empty sequence between them.
LENGTHS = [1, 2, 5, 6, 7, 0, 8, 9, 12, 15, 16, 17, 31, 32, 33, 48, 65]
DIMS = [1, 8, 15, 16, 17, 20, 32, 40, 64, 72, 256]


# Causal, with shared heads of keys, windows around the blocks and panels, and a cap of the scores.
FORMS = [
    {"causal": True},
    {"causal": True, "key_heads": 2},
    {"causal": True, "key_heads": 1, "window": 1},
    {"causal": True, "key_heads": 2, "window": 3},
    {"causal": True, "key_heads": 4, "window": 16},
    {"causal": True, "key_heads": 1, "window": 21},
    {"causal": True, "key_heads": 2, "cap": 5.0},
    {"key_heads": 2, "cap": 2.0},
]


def run(name: str, qkv: np.ndarray, offsets: np.ndarray, heads: int, scale: float, **form) -> np.ndarray:
    dim = qkv.shape[1] // (heads + 2 * form.get("key_heads", heads))
    out = np.full((len(qkv), heads * dim), 77, np.float32)
    _native.attention_run(name, qkv, offsets, heads, scale, out, **form)
    return out


def case(
    lengths: list[int], heads: int, dim: int, spread: float = 1.0, key_heads: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED + dim)
    offsets = np.cumsum([0, *lengths], dtype=np.int32)
    qkv = rng.standard_normal((offsets[-1], (heads + 2 * (key_heads or heads)) * dim)) * spread
    return qkv.astype(np.float32), offsets


def check(name: str, qkv: np.ndarray, offsets: np.ndarray, heads: int, scale: float, **form) -> None:
    expected, bound = attention(qkv, offsets, heads, scale, **form)
    assert (np.abs(run(name, qkv, offsets, heads, scale, **form) - expected) <= bound).all()


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("attention")


@pytest.mark.parametrize("name", named("attention"))
@pytest.mark.parametrize("dim", DIMS)
def test_matches_float64(name, dim):
    qkv, offsets = case(LENGTHS, 2, dim)
    check(name, qkv, offsets, 2, dim**-0.5)


@pytest.mark.parametrize("name", named("attention"))
@pytest.mark.parametrize("spread", [1e-20, 0.01, 5.0])
def test_flat_and_steep_scores(name, spread):
    qkv, offsets = case([33, 70], 3, 32, spread)
    check(name, qkv, offsets, 3, 1.0)


@pytest.mark.parametrize("name", others("attention"))
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("spread", [1.0, 8.0])
def test_same_bits_as_scalar(name, dim, spread):
    qkv, offsets = case(LENGTHS, 2, dim, spread)
    ours = run(name, qkv, offsets, 2, dim**-0.5)
    assert_same_bits(ours, run(scalar("attention"), qkv, offsets, 2, dim**-0.5))


@pytest.mark.parametrize("name", named("attention"))
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("dim", [8, 20, 64])
def test_forms_of_decoders_match_float64(name, form, dim):
    qkv, offsets = case(LENGTHS, 4, dim, key_heads=form.get("key_heads", 4))
    check(name, qkv, offsets, 4, dim**-0.5, **form)


@pytest.mark.parametrize("name", others("attention"))
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("dim", [8, 20, 64])
def test_forms_of_decoders_have_the_same_bits_as_scalar(name, form, dim):
    qkv, offsets = case(LENGTHS, 4, dim, 3.0, key_heads=form.get("key_heads", 4))
    ours = run(name, qkv, offsets, 4, dim**-0.5, **form)
    assert_same_bits(ours, run(scalar("attention"), qkv, offsets, 4, dim**-0.5, **form))


@pytest.mark.parametrize("name", named("attention"))
@pytest.mark.parametrize("window", [0, 5, 17])
@pytest.mark.parametrize("length", [1, 6, 16, 23])
def test_a_causal_row_does_not_see_what_follows(name, window, length):
    """Nor what lies before its window: values there may be NaN, and bits stay what they are without them."""
    qkv, _ = case([40], 4, 16, key_heads=2)
    form = {"key_heads": 2, "causal": True, "window": window}
    alone = run(name, qkv[:length].copy(), np.array([0, length], np.int32), 4, 0.25, **form)
    qkv[length:] = np.nan
    offsets = np.array([0, 40], np.int32)
    assert_same_bits(run(name, qkv, offsets, 4, 0.25, **form)[:length], alone)
    if 0 < window < length:
        qkv[: length - window, 4 * 16 :] = np.nan
        assert_same_bits(run(name, qkv, offsets, 4, 0.25, **form)[length - 1], alone[length - 1])


@pytest.mark.parametrize("name", named("attention"))
def test_a_sequence_does_not_see_its_neighbours(name):
    qkv, offsets = case(LENGTHS, 3, 20)
    together = run(name, qkv, offsets, 3, 0.2)
    for first, last in itertools.pairwise(offsets):
        alone = run(name, qkv[first:last].copy(), np.array([0, last - first], np.int32), 3, 0.2)
        assert_same_bits(alone, together[first:last])


@pytest.mark.parametrize("name", named("attention"))
def test_a_single_token_sees_itself(name):
    qkv, offsets = case([1, 1, 1], 2, 32)
    assert_same_bits(run(name, qkv, offsets, 2, 1.0), qkv[:, 128:].copy())


@pytest.mark.parametrize("name", named("attention"))
def test_huge_scores_pick_one_key(name):
    length, dim = 40, 16
    qkv = np.zeros((length, 3 * dim), np.float32)
    qkv[:, 0] = 1e18
    qkv[:, dim] = np.arange(length) * 1e18
    qkv[:, 2 * dim :] = np.random.default_rng(SEED).standard_normal((length, dim))
    out = run(name, qkv, np.array([0, length], np.int32), 1, 1.0)
    assert np.abs(out - qkv[-1, 2 * dim :]).max() < 1e-30 + 2.0**-22
    # All scores far below zero: the padding behind the last key, with score zero, must not be the maximum.
    qkv[:, dim] = -1e18
    out = run(name, qkv, np.array([0, length], np.int32), 1, 1.0)
    mean = qkv[:, 2 * dim :].astype(np.float64).mean(axis=0)
    assert np.abs(out - mean).max() < length * 2.0**-22


@pytest.mark.parametrize("name", named("attention"))
def test_a_nan_in_a_query_stays_in_its_row_and_head(name):
    qkv, offsets = case([20, 21], 2, 16)
    clean = run(name, qkv, offsets, 2, 0.25)
    qkv[25, 3] = np.nan
    out = run(name, qkv, offsets, 2, 0.25)
    assert np.isnan(out[25, :16]).all()
    out[25, :16] = clean[25, :16]
    assert_same_bits(out, clean)


@pytest.mark.parametrize("name", named("attention"))
@pytest.mark.parametrize("key", [0, 15, 16, 20])
def test_a_nan_in_a_key_shows_in_its_sequence_and_head(name, key):
    qkv, offsets = case([20, 21], 2, 16)
    qkv[20 + key, 32 + 16 + 3] = np.nan
    nan = np.isnan(run(name, qkv, offsets, 2, 0.25))
    expected = np.zeros_like(nan)
    expected[20:, 16:] = True
    assert np.array_equal(nan, expected)


@pytest.mark.parametrize("name", others("attention"))
def test_long_sequence(name):
    qkv, offsets = case([1500], 1, 32)
    check(name, qkv, offsets, 1, 32**-0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", others("attention"))
def test_longest_sequence(name):
    qkv, offsets = case([8192], 1, 32)
    check(name, qkv, offsets, 1, 32**-0.5)


@pytest.mark.parametrize("name", named("attention"))
@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_no_tokens(name, lengths):
    qkv, offsets = case(lengths, 2, 16)
    assert run(name, qkv, offsets, 2, 0.25).shape == (0, 32)


@pytest.mark.parametrize("offsets", [[], [1, 3], [0, 2, 1, 3], [0, 2], [0, 4], [0, -1, 3]])
def test_bad_offsets_are_refused(offsets):
    with pytest.raises(InvalidArgumentError, match="offset"):
        run("attention_f32_4x16_scalar", np.zeros((3, 48), np.float32), np.array(offsets, np.int32), 1, 1.0)


def test_bad_shapes_are_refused():
    offsets = np.array([0, 3], np.int32)
    with pytest.raises(InvalidArgumentError, match="heads"):
        run("attention_f32_4x16_scalar", np.zeros((3, 48), np.float32), offsets, 5, 1.0)
    with pytest.raises(InvalidArgumentError, match="three times"):
        run("attention_f32_4x16_scalar", np.zeros((3, 50), np.float32), offsets, 1, 1.0)
    with pytest.raises(InvalidArgumentError, match="heads of keys"):
        run("attention_f32_4x16_scalar", np.zeros((3, 64), np.float32), offsets, 2, 1.0, key_heads=3)
    with pytest.raises(InvalidArgumentError, match="causal"):
        run("attention_f32_4x16_scalar", np.zeros((3, 48), np.float32), offsets, 1, 1.0, window=2)
