"""Products of bfloat16 by the instructions made for them: order, small numbers, and error bounds."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from tests.kernels.rows import SEED, assert_same_bits, rows
from tests.reference.qmatmul import bits_of, padded, rounded
from tests.reference.tolerance import UNIT

from arrowmind import _native

ROWS = [row for row in rows("qmatmul") if row["detail"].startswith("kBf16")]
FORM = {row["name"]: row["detail"] for row in ROWS}
ORACLE = {row["detail"]: row["name"] for row in ROWS if row["isa"] == "scalar"}
NAMES = [
    pytest.param(
        row["name"],
        marks=() if row["enabled"] else pytest.mark.skip(reason=f"{row['isa']} is not enabled here"),
    )
    for row in ROWS
]
SHAPES = [(1, 16, 32), (2, 17, 3), (13, 40, 130), (33, 20, 300), (5, 33, 1)]


def generator(*key: object) -> np.random.Generator:
    seed = SEED + zlib.crc32(repr(key).encode())
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def run(name: str, a: np.ndarray, w: np.ndarray, n_begin: int = 0, n_end: int | None = None) -> np.ndarray:
    """Of float32 arrays [m, k] and [n, k] that bfloat16 holds."""
    (m, k), n = a.shape, len(w)
    stored = np.zeros((m, padded(k, 4)), np.uint16)
    stored[:, :k] = bits_of(a, "bf16")
    c = np.full((m, n), np.nan, np.float32)
    packed = _native.qmatmul_pack("bf16", bits_of(w, "bf16"))
    _native.qmatmul_run(name, stored, k, packed, c, n_begin=n_begin, n_end=n_end)
    return c


def operands(rng: np.random.Generator, m: int, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    a, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (n, k)))
    return rounded(a, "bf16"), rounded(w, "bf16")


def test_both_forms_have_an_oracle():
    assert set(ORACLE) == set(FORM.values()) == {"kBf16 x kBf16", "kBf16Tile x kBf16"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_within_the_bound_of_its_roundings(name, shape):
    a, w = operands(generator(name, shape), *shape)
    got = run(name, a, w)
    exact = a.astype(np.float64) @ w.astype(np.float64).T
    # One rounding for each product, and for tiles three more for each 32 k.
    bound = (shape[2] + 3 * -(-shape[2] // 32)) * UNIT * (np.abs(a) @ np.abs(w).T) * (1 + 1e-6) + 2.0**-125
    assert (np.abs(got - exact) <= bound).all()
    assert_same_bits(got, run(ORACLE[FORM[name]], a, w))


@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers_are_exact(name):
    rng = generator(name)
    a, w = (rng.integers(-128, 129, shape).astype(np.float32) for shape in ((7, 200), (30, 200)))
    assert_same_bits(run(name, a, w), a @ w.T)


@pytest.mark.parametrize("name", NAMES)
def test_small_numbers_are_zeros(name):
    one = np.float32(1)
    for a, w, expected in (
        (2.0**-127, one, 0.0),  # what comes in
        (one, 2.0**-133, 0.0),
        (2.0**-70, 2.0**-70, 0.0),  # what comes out
        (2.0**-63, 2.0**-63, 2.0**-126),
        (2.0**-64, 2.0**-64, 0.0),
    ):
        values = np.zeros((2, 1, 4), np.float32)
        values[:, 0, 0] = a, w
        assert run(name, values[0], values[1]) == np.float32(expected)


@pytest.mark.parametrize("name", NAMES)
def test_odd_comes_first_in_pairs_and_each_by_itself_in_tiles(name):
    """2^24 + 1 is no float32: what is left tells the order of the sums."""
    big = np.float32(2**24)
    a = np.array([[1, 1, 1, 1]], np.float32)
    pairs = FORM[name] == "kBf16 x kBf16"
    assert run(name, a, np.array([[big, 0, -big, 1]], np.float32)) == (0 if pairs else 1)
    assert run(name, a, np.array([[big, 0, 1, -big]], np.float32)) == (1 if pairs else 0)


@pytest.mark.parametrize("name", NAMES)
def test_parts_and_rows_make_the_whole(name):
    a, w = operands(generator(name), 35, 70, 90)
    whole = run(name, a, w)
    parts = [run(name, a, w, begin, end)[:, begin:end] for begin, end in ((0, 32), (32, 48), (48, 70))]
    assert_same_bits(np.concatenate(parts, axis=1), whole)
    for row in (0, 16, 34):
        assert_same_bits(run(name, a[row : row + 1], w)[0], whole[row])
