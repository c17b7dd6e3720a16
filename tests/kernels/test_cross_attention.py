"""Every kernel of attention to given keys against float64, and against each other to the last bit."""

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
from tests.reference.tolerance import UNIT

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

KEYS = [1, 2, 15, 16, 17, 33, 150]
DIMS = [1, 15, 16, 17, 64, 80]


def run(name: str, q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    out = np.full_like(q, 77)
    _native.cross_attention_run(name, q, k, v, heads, 1 / np.sqrt(q.shape[1] / heads), out)
    return out


def case(keys: int, dim: int, heads: int = 2, queries: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(SEED + 100 * keys + dim)
    return [rng.standard_normal((rows, heads * dim)).astype(np.float32) for rows in (queries, keys, keys)]


def expected(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    def split(x: np.ndarray) -> np.ndarray:
        return x.astype(np.float64).reshape(len(x), heads, -1).transpose(1, 0, 2)

    scores = split(q) @ split(k).transpose(0, 2, 1) / np.sqrt(q.shape[1] / heads)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = powers / powers.sum(axis=-1, keepdims=True) @ split(v)
    return mixed.transpose(1, 0, 2).reshape(q.shape)


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("cross_attention")


@pytest.mark.parametrize("name", named("cross_attention"))
@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("dim", DIMS)
def test_matches_float64(name, keys, dim):
    q, k, v = case(keys, dim)
    # An error of a score is one of its power, relatively; sums of `keys` terms err by a rounding each.
    largest = np.abs(q).max() * np.abs(k).max() * dim / np.sqrt(dim)
    bound = (2 * largest * (dim + 4) + keys + 8) * UNIT * np.abs(v).max()
    assert np.abs(run(name, q, k, v, 2) - expected(q, k, v, 2)).max() <= bound


@pytest.mark.parametrize("name", others("cross_attention"))
@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("special", [None, np.nan, np.inf, -np.inf])
def test_same_bits_as_scalar(name, keys, dim, special):
    q, k, v = case(keys, dim)
    if special is not None:
        k[keys // 2, 0] = special
        v[keys - 1, -1] = special
    found = run(name, q, k, v, 2)
    assert_same_bits(found, run(scalar("cross_attention"), q, k, v, 2))


@pytest.mark.parametrize("name", named("cross_attention"))
def test_a_query_does_not_depend_on_others(name):
    q, k, v = case(40, 64, queries=5)
    whole = run(name, q, k, v, 2)
    for row in range(5):
        assert_same_bits(run(name, q[row : row + 1], k, v, 2), whole[row : row + 1])


def test_bad_shapes():
    q, k, v = case(4, 16)
    name = scalar("cross_attention")
    for bad in ((q, k[:3], v), (q, k[:0], v[:0]), (q, k[:, :16], v[:, :16])):
        with pytest.raises(InvalidArgumentError, match="cross_attention"):
            run(name, *[np.ascontiguousarray(one) for one in bad], 2)
    with pytest.raises(InvalidArgumentError, match="heads"):
        run(name, q, k, v, 3)
