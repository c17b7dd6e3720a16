"""Every scan kernel of the table against NumPy, and the selection against a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, KernelError

SEED = 20261103
ROWS = [row for row in _native.kernels() if row["op"] == "scan"]
LENGTHS = [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 96, 128, 255, 384, 385, 1024]
COUNTS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 33]


def named(codes: str) -> list:
    """Rows for one kind of codes; those this machine lacks are skipped with the reason."""
    return [
        pytest.param(
            row["name"],
            marks=() if row["enabled"] else pytest.mark.skip(reason=f"{row['isa']} is not enabled here"),
        )
        for row in ROWS
        if row["detail"] == codes
    ]


def hamming(codes: np.ndarray, query: np.ndarray) -> np.ndarray:
    return np.unpackbits(codes ^ query, axis=1).sum(axis=1, dtype=np.int64)


def random_bits(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    return rng.integers(0, 256, (n, length), dtype=np.uint8)


def random_int8(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    return rng.integers(-128, 128, (n, dim), dtype=np.int8)


def ordered_best(keys: np.ndarray, top: int, rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort((rows, keys))][:top]


def test_the_oracle_can_run_everywhere():
    enabled = {row["name"] for row in ROWS if row["enabled"]}
    assert {"scan_bits_scalar", "scan_i8_scalar"} <= enabled


@pytest.mark.parametrize("name", named("kBits"))
@pytest.mark.parametrize("length", LENGTHS)
def test_bits_match_numpy(name, length):
    rng = np.random.default_rng(SEED)
    for n in COUNTS:
        codes, query = random_bits(rng, n, length), random_bits(rng, 1, length)[0]
        assert np.array_equal(_native.scan_run(name, codes, query), hamming(codes, query))
    ends = np.stack([np.zeros(length, np.uint8), np.full(length, 255, np.uint8)])
    assert _native.scan_run(name, ends, ends[0]).tolist() == [0, 8 * length]


@pytest.mark.parametrize("name", named("kI8"))
@pytest.mark.parametrize("dim", LENGTHS)
def test_int8_matches_numpy(name, dim):
    rng = np.random.default_rng(SEED)
    limit = _native.scan_query_limit(dim)
    for n in COUNTS:
        codes = random_int8(rng, n, dim)
        query = rng.integers(-limit, limit + 1, dim).astype(np.int16)
        expected = codes.astype(np.int64) @ query.astype(np.int64)
        assert np.array_equal(_native.scan_run(name, codes, query), expected)


@pytest.mark.parametrize("name", named("kI8"))
@pytest.mark.parametrize("dim", [16, 384, 1024, 4099, 65536])
def test_int8_extremes_do_not_overflow(name, dim):
    limit = _native.scan_query_limit(dim)
    codes = np.full((5, dim), -128, np.int8)
    for sign in (1, -1):
        query = np.full(dim, sign * limit, np.int16)
        expected = -128 * sign * limit * dim
        assert abs(expected) < 2**31
        assert _native.scan_run(name, codes, query).tolist() == [expected] * 5


@pytest.mark.parametrize("name", [*named("kBits"), *named("kI8")])
def test_listed_rows(name):
    rng = np.random.default_rng(SEED)
    bits = "bits" in name
    codes = random_bits(rng, 200, 48) if bits else random_int8(rng, 200, 48)
    query = random_bits(rng, 1, 48)[0] if bits else rng.integers(-900, 900, 48).astype(np.int16)
    rows = rng.integers(0, 200, 77).astype(np.uint32)
    assert np.array_equal(
        _native.scan_run(name, codes, query, rows), _native.scan_run(name, codes, query)[rows]
    )


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 100, 4096, 70_001])
def test_top_bits_is_a_sorted_prefix(n, threads):
    rng = np.random.default_rng(SEED + n)
    codes = rng.integers(0, 2, (n, 6), dtype=np.uint8) * 255  # 49 distances only: many equal ones
    query = random_bits(rng, 1, 6)[0]
    expected = hamming(codes, query)
    for top in (1, 10, 333, n, n + 5):
        rows, distances = _native.scan_top_bits(codes, query, top, threads=threads)
        assert np.array_equal(rows, ordered_best(expected, top, np.arange(n)))
        assert np.array_equal(distances, expected[rows])


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 100, 4096, 70_001])
def test_top_dot_is_a_sorted_prefix(n, threads):
    rng = np.random.default_rng(SEED + n)
    codes = rng.integers(-3, 4, (n, 8)).astype(np.int8)
    scales = rng.choice([0.5, 1.0, 2.0], n).astype(np.float32)
    query = rng.integers(-4, 5, 8).astype(np.float32)
    scores = _native.scan_dot(codes, scales, query)
    for top in (1, 10, 333, n, n + 5):
        rows, best = _native.scan_top_dot(codes, scales, query, top, threads=threads)
        assert np.array_equal(rows, ordered_best(-scores, top, np.arange(n)))
        assert np.array_equal(best, scores[rows])


def test_dot_scores_are_close_to_float_products():
    rng = np.random.default_rng(SEED)
    codes, scales = random_int8(rng, 500, 384), rng.random(500, dtype=np.float32)
    query = rng.standard_normal(384).astype(np.float32)
    exact = (codes.astype(np.float64) @ query.astype(np.float64)) * scales
    # Each query code is off by at most half a step; the rest is three float32 roundings.
    step = np.abs(query).max() / _native.scan_query_limit(384)
    bound = np.abs(codes.astype(np.float64)).sum(1) * step / 2 * scales + 4e-7 * np.abs(exact) + 1e-6
    assert np.all(np.abs(_native.scan_dot(codes, scales, query) - exact) <= bound)


def test_excluded_and_listed_rows():
    rng = np.random.default_rng(SEED)
    n = 9001
    bits, query = random_bits(rng, n, 48), random_bits(rng, 1, 48)[0]
    codes, scales = random_int8(rng, n, 384), rng.random(n, dtype=np.float32)
    vector = rng.standard_normal(384).astype(np.float32)
    dead = rng.random(n) < 0.4
    bitmap = np.packbits(dead, bitorder="little")
    listed = rng.permutation(n)[:3000].astype(np.uint32)
    for rows in (None, listed):
        searched = np.arange(n) if rows is None else listed.astype(np.int64)
        live = searched[~dead[searched]]
        found, _ = _native.scan_top_bits(bits, query, 50, rows=rows, excluded=bitmap)
        assert np.array_equal(found, ordered_best(hamming(bits, query)[live], 50, live))
        found, _ = _native.scan_top_dot(codes, scales, vector, 50, rows=rows, excluded=bitmap)
        assert np.array_equal(found, ordered_best(-_native.scan_dot(codes, scales, vector)[live], 50, live))
    distances = hamming(bits, query)
    for limit in (0, int(np.sort(distances)[20]), 10**6):
        found, kept = _native.scan_top_bits(bits, query, 50, max_distance=limit)
        near = np.flatnonzero(distances <= limit)
        assert np.array_equal(found, ordered_best(distances[near], 50, near))
        assert np.array_equal(kept, distances[found])
    all_dead = np.full((n + 7) // 8, 255, np.uint8)
    assert _native.scan_top_bits(bits, query, 5, excluded=all_dead)[0].size == 0


def test_nan_and_infinite_scales_do_not_disturb_the_others():
    codes = np.ones((6, 4), np.int8)
    scales = np.array([1, np.nan, 3, -np.inf, np.inf, 2], np.float32)
    rows, scores = _native.scan_top_dot(codes, scales, np.ones(4, np.float32), 6)
    assert rows.tolist() == [4, 2, 5, 0, 3, 1]
    assert np.isnan(scores[-1])


def test_every_kernel_selects_the_same_rows(monkeypatch):
    rng = np.random.default_rng(SEED)
    codes, scales = random_int8(rng, 3000, 100), rng.random(3000, dtype=np.float32)
    query = rng.standard_normal(100).astype(np.float32)
    results = []
    for row in ROWS:
        if row["detail"] == "kI8" and row["enabled"]:
            monkeypatch.setenv("ARROWMIND_KERNEL", row["name"])
            _native.reload_environment()
            results.append([a.tobytes() for a in _native.scan_top_dot(codes, scales, query, 100)])
    monkeypatch.delenv("ARROWMIND_KERNEL")
    _native.reload_environment()
    assert all(result == results[0] for result in results)


def splitmix64(state: int) -> int:
    mask = 2**64 - 1
    z = (state + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def rotated(vectors: np.ndarray, seed: int) -> np.ndarray:
    """The rotation of rotate.h in NumPy, the same order of IEEE operations."""
    x = vectors.astype(np.float32).copy()
    dim = x.shape[1]
    block = 1 << (dim.bit_length() - 1)
    for r in range(4):
        stream = splitmix64((seed + r) % 2**64)
        words = [splitmix64((stream + k) % 2**64) for k in range((dim + 63) // 64)]
        flips = np.array([(words[k // 64] >> (k % 64)) & 1 for k in range(dim)], bool)
        x[:, flips] *= -1
        part = x[:, :block] if r % 2 == 0 else x[:, dim - block :]
        half = 1
        while half < block:
            pairs = part.reshape(len(x), -1, 2, half)
            part = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], 2)
            part = part.reshape(len(x), block)
            half *= 2
        part = part * (np.float32(1) / np.sqrt(np.float32(block)))
        if r % 2 == 0:
            x[:, :block] = part
        else:
            x[:, dim - block :] = part
    return x


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 13, 64, 100, 384, 512, 768])
def test_sign_codes_follow_the_rotation(dim):
    rng = np.random.default_rng(SEED)
    vectors = rng.standard_normal((20, dim)).astype(np.float32)
    turned = rotated(vectors, 12345)
    assert np.allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(vectors, axis=1), rtol=1e-5)
    expected = np.packbits(turned > 0, axis=1, bitorder="little")
    assert np.array_equal(_native.scan_sign_codes(vectors, 12345), expected)
    assert np.array_equal(_native.scan_sign_codes(-vectors, 12345)[:, 0] & 1, 1 - (expected[:, 0] & 1))


def test_one_bit_distance_follows_the_angle():
    """A spike has one sign bit to tell with; after the rotation the distance estimates the angle even so."""
    rng = np.random.default_rng(SEED)
    base = np.zeros((1, 384), np.float32)
    base[0, 7] = 1.0
    noise = rng.standard_normal((200, 384)).astype(np.float32)
    near = base + 0.5 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    cosine = near[:, 7] / np.linalg.norm(near, axis=1)
    query = _native.scan_sign_codes(base, 1)[0]
    estimate = hamming(_native.scan_sign_codes(near, 1), query) / 384 * np.pi
    assert np.abs(estimate - np.arccos(cosine)).max() < 0.25  # 0.025 standard deviation


@pytest.mark.parametrize("top", [0, -1, -(2**62)])
def test_no_rows_asked_for(top):
    codes = np.zeros((3, 8), np.uint8)
    assert _native.scan_top_bits(codes, codes[0], top)[0].size == 0


def test_bad_arguments_are_refused():
    bits = np.zeros((9, 8), np.uint8)
    codes, scales, query = np.zeros((9, 8), np.int8), np.ones(9, np.float32), np.ones(8, np.float32)
    with pytest.raises(InvalidArgumentError, match="differ in bytes"):
        _native.scan_top_bits(bits, bits[0, :7].copy(), 1)
    with pytest.raises(InvalidArgumentError, match="out of range"):
        _native.scan_top_bits(bits, bits[0], 1, rows=np.array([9], np.uint32))
    with pytest.raises(InvalidArgumentError, match="too few bits"):
        _native.scan_top_bits(bits, bits[0], 1, excluded=np.zeros(1, np.uint8))
    with pytest.raises(InvalidArgumentError, match="differ in rows"):
        _native.scan_top_dot(codes, scales[:5].copy(), query, 1)
    with pytest.raises(InvalidArgumentError, match="differ in dimension"):
        _native.scan_top_dot(codes, scales, query[:4].copy(), 1)
    with pytest.raises(InvalidArgumentError, match=r"query\[3\] is .*finite"):
        _native.scan_top_dot(codes, scales, np.array([0, 0, 0, np.inf, 0, 0, 0, 0], np.float32), 1)
    with pytest.raises(InvalidArgumentError, match="threads"):
        _native.scan_top_bits(bits, bits[0], 1, threads=0)
    with pytest.raises(KernelError, match="no kernel is called"):
        _native.scan_run("scan_bits_abacus", bits, bits[0])


def tables(rng: np.random.Generator, lengths: list[int], dim: int, signed: list[bool]):
    codes = [random_int8(rng, n, dim) for n in lengths]
    scales = [rng.random(n, dtype=np.float32) for n in lengths]
    signs = [random_bits(rng, n, 3) if has else None for n, has in zip(lengths, signed, strict=True)]
    return codes, scales, signs


@pytest.mark.parametrize("threads", [1, 3])
def test_tables_are_searched_as_one(threads):
    rng = np.random.default_rng(SEED)
    lengths, signed = [5, 0, 40_000, 70, 3000], [True, True, True, False, True]
    codes, scales, signs = tables(rng, lengths, 24, signed)
    together = _native.ScanTables(codes, scales, signs)
    starts = np.cumsum([0, *lengths])
    bits = random_bits(rng, 1, 3)[0]
    hidden = [rng.random(n) < 0.3 for n in lengths]
    bitmaps = [np.packbits(mask, bitorder="little") if i != 3 else None for i, mask in enumerate(hidden)]
    distances, rows = [], []
    for start, part, mask in zip(starts, signs, hidden, strict=False):
        if part is not None:
            distances.append(hamming(part, bits)[~mask])
            rows.append(start + np.flatnonzero(~mask))
    expected = ordered_best(np.concatenate(distances), 500, np.concatenate(rows))
    found, near = together.top_bits(bits, 500, bitmaps, threads)
    assert np.array_equal(found, expected)
    assert np.array_equal(near, np.sort(np.concatenate(distances))[:500])
    assert np.array_equal(together.near_bits(bits, 500, bitmaps, threads), np.sort(expected))

    query = rng.standard_normal(24).astype(np.float32)
    chosen = rng.integers(0, starts[-1], 2000)
    alone = np.concatenate([_native.scan_dot(c, s, query) for c, s in zip(codes, scales, strict=True)])
    assert np.array_equal(together.dot(query, chosen, threads), alone[chosen])
    assert len(together.dot(query, chosen[:0], threads)) == 0


def test_tables_check_what_they_are_given():
    codes, scales, signs = tables(np.random.default_rng(SEED), [4, 6], 8, [True, False])
    for wrong in ((codes, scales[:1], signs), (codes, scales[::-1], signs), (codes, scales, signs[::-1])):
        with pytest.raises(InvalidArgumentError):
            _native.ScanTables(*map(list, wrong))
    with pytest.raises(TypeError, match="C-ordered"):
        _native.ScanTables([codes[0][:, ::2]], scales[:1], [None])
    both = _native.ScanTables(codes, scales, signs)
    for rows in ([-1], [10]):
        with pytest.raises(InvalidArgumentError, match="row number"):
            both.dot(np.zeros(8, np.float32), np.array(rows))
    with pytest.raises(InvalidArgumentError, match="excluded"):
        both.top_bits(np.zeros(3, np.uint8), 1, [None])
    with pytest.raises(InvalidArgumentError, match="bytes"):
        both.near_bits(np.zeros(2, np.uint8), 1, [None, None])
    assert len(_native.ScanTables([], [], []).top_bits(np.zeros(3, np.uint8), 1, [])[0]) == 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("order", ["nearer and nearer", "farther and farther", "all alike", "two kinds"])
@pytest.mark.parametrize("top", [1, 7, 700, 60_000, 10**9])
def test_selection_holds_for_any_order_of_rows(order, top, threads):
    """Every row may be a candidate, and all of them equal: what is cut back must not lose a lower number."""
    n, row_bytes = 50_000, 5
    rng = np.random.default_rng(SEED)
    distance = {
        "nearer and nearer": np.linspace(8 * row_bytes, 0, n).astype(int),
        "farther and farther": np.linspace(0, 8 * row_bytes, n).astype(int),
        "all alike": np.full(n, 9),
        "two kinds": rng.integers(8, 10, n),
    }[order]
    signs = np.packbits(np.arange(8 * row_bytes) < distance[:, None], axis=1)
    query = np.zeros(row_bytes, np.uint8)
    expected = np.argsort(distance, kind="stable")[:top]
    found, distances = _native.scan_top_bits(signs, query, top, threads=threads)
    assert np.array_equal(found, expected)
    assert np.array_equal(distances, distance[expected])


def test_rows_too_long_to_count_distances_of():
    rng = np.random.default_rng(SEED)
    signs, query = random_bits(rng, 300, 2500), random_bits(rng, 1, 2500)[0]
    found, _ = _native.scan_top_bits(signs, query, 20)
    assert np.array_equal(found, ordered_best(hamming(signs, query), 20, np.arange(300)))


@given(dim=st.integers(1, 100), count=st.integers(0, 9), seed=st.integers(0, 2**32 - 1))
def test_signed_sums(dim, count, seed):
    chance = np.random.default_rng(seed)
    weights = chance.standard_normal(dim).astype(np.float32)
    codes = chance.integers(0, 256, (count, (dim + 7) // 8), dtype=np.uint8)
    bits = np.unpackbits(codes, axis=1, count=dim, bitorder="little").astype(np.float64)
    sums = _native.scan_signed_sums(codes, weights)
    assert sums.shape == (count,)
    assert np.allclose(sums, (2 * bits - 1) @ weights, atol=1e-4)


def test_signed_sums_need_a_bit_for_each_weight():
    with pytest.raises(InvalidArgumentError, match="a bit for each weight"):
        _native.scan_signed_sums(np.zeros((2, 3), np.uint8), np.zeros(25, np.float32))
