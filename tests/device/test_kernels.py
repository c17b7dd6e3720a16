"""The kernels of csrc/device/kernels.h between matrices, on every device, against NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.device.bench import Bench, Out, block, flags, needs
from tests.kernels import test_activate
from tests.kernels.rows import SEED
from tests.kernels.test_quantise_blocks import expected as expected_blocks
from tests.kernels.test_quantise_blocks import sizes
from tests.reference.attention import attention
from tests.reference.norm import layer_norm, rms_norm
from tests.reference.pool import pool
from tests.reference.quantise import quantise
from tests.reference.tolerance import UNIT

WIDTHS = [1, 4, 33, 130, 389]


def floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def close(found: np.ndarray, expected: np.ndarray, bound: np.ndarray) -> None:
    error = np.abs(found - expected)
    assert (error <= bound).all(), f"{(error / np.maximum(bound, 1e-300)).max()} bounds off"


def padded_rows(x: np.ndarray, first: int, behind: int) -> np.ndarray:
    """The same columns from `first` on, among NaN."""
    return np.pad(x, ((0, 0), (first, behind)), constant_values=np.nan)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("layer", [True, False])
def test_norms(bench, width, layer):
    rng = np.random.default_rng(SEED + width)
    rows, pieces, first = 5, 3, 2
    x, gamma, beta = floats(rng, rows, pieces * width), floats(rng, width), floats(rng, width)
    x[2, width : 2 * width] = np.nan
    wide, y = padded_rows(x, first, 3), np.full((rows, first + pieces * width + 1), 7, np.float32)
    shape = {"rows": rows, "x_stride": wide.shape[1], "width": width, "first": first, "pieces": pieces}
    options = {"epsilon": 1e-5, "flags": flags("beta") if layer else 0}
    whole = block("norm", **shape, **options, y_stride=y.shape[1])
    (found,) = bench.run("norm", (1, rows, pieces), [wide, gamma, beta if layer else None, Out(y)], whole)
    assert (found[:, :first] == 7).all()
    inside = Out(wide.copy())
    whole = block("norm", **shape, **options, y_stride=wide.shape[1])
    places = [inside.array, gamma, beta if layer else None, inside]
    (in_place,) = bench.run("norm", (1, rows, pieces), places, whole)
    own = slice(first, first + pieces * width)
    np.testing.assert_array_equal(in_place[:, own], found[:, own])
    flat = found[:, own].reshape(-1, width)
    alive = np.arange(len(flat)) != 2 * pieces + 1
    assert np.isnan(flat[~alive]).all()
    source = x.reshape(-1, width)[alive]
    close(flat[alive], *(layer_norm(source, gamma, beta, 1e-5) if layer else rms_norm(source, gamma, 1e-5)))


def codes_of_rows(bench: Bench, x: np.ndarray, multiplier: np.ndarray | None) -> list[np.ndarray]:
    rows, width = x.shape
    stride = -(-width // 4) * 4 + 8
    places = [
        padded_rows(x, 0, 2),
        multiplier,
        Out(np.full((rows, stride), 77, np.int8)),
        Out(np.full(rows, 77, np.float32)),
        Out(np.full(rows, 77, np.int32)),
        Out(np.full(rows, 77, np.int32)),
    ]
    used = flags("multiplier") if multiplier is not None else 0
    parameters = block("quantise", rows=rows, x_stride=width + 2, stride=stride, width=width, flags=used)
    codes, scales, sums, zeros = bench.run("quantise_i8", (1, rows, 1), places, parameters)
    assert (codes[:, : -(-width // 4) * 4][:, width:] == 0).all()
    return [codes[:, :width], scales, sums, zeros]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scaled", [False, True])
def test_codes_of_rows(bench, width, scaled):
    """The bits of the CPU, but where a quotient lies between two codes to the last bits of a division."""
    rng = np.random.default_rng(SEED + width)
    x = (floats(rng, 12, width) * 10.0 ** rng.integers(-20, 20, (12, 1))).astype(np.float32)
    x[1], x[2, 0], x[3, -1], x[4] = 0, np.nan, np.inf, 1e-35
    x[5] = np.abs(x[5])
    x[6, 0], x[6, -1] = 3e38, -3e38
    multiplier = rng.uniform(0.5, 2, width).astype(np.float32) if scaled else None
    codes, scales, sums, zeros = codes_of_rows(bench, x, multiplier)
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = quantise(x, 0, np.int8, multiplier)
        values = (x if multiplier is None else x * multiplier).astype(np.float64)
    np.testing.assert_array_equal(np.isnan(scales), np.isnan(wanted.scales))
    alive = np.isfinite(scales) & (scales > 0)
    np.testing.assert_array_equal(alive, np.isfinite(wanted.scales) & (wanted.scales > 0))
    np.testing.assert_array_equal(codes[~alive], 0)
    np.testing.assert_array_equal(sums, (codes - zeros[:, None].astype(np.int64)).sum(axis=1))
    np.testing.assert_array_equal(zeros[~alive], 0)
    close(scales[alive], wanted.scales[alive], 4 * UNIT * wanted.scales[alive])
    # A quotient of a device may be off by 2.5 units of its last place (Vulkan), and there are 255 steps.
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = values[alive] / wanted.scales[alive, None].astype(np.float64) + zeros[alive, None]
    slack = 0.5 + 256 * 10 * UNIT
    assert (np.abs(codes[alive] - np.clip(exact, -128, 127)) <= slack).all()
    same = (codes[alive] == wanted.codes[alive, :width]).mean() if alive.any() else 1
    assert same > 0.99


@pytest.mark.parametrize("group", [16, 32, 64, 128, 0])
@pytest.mark.parametrize("scaled", [False, True])
def test_codes_of_blocks(bench, group, scaled):
    size, part = sizes(group)
    rng = np.random.default_rng(SEED + group)
    for width in (1, 33, 260):
        x = (floats(rng, 6, width) * 10.0 ** rng.integers(-20, 20, (6, 1))).astype(np.float32)
        x[1], x[2, 0], x[3, -1], x[4] = 0, np.nan, np.inf, 1e-35
        multiplier = rng.uniform(0.5, 2, width).astype(np.float32) if scaled else None
        blocks = -(-width // size)
        places = [
            padded_rows(x, 0, 3),
            multiplier,
            Out(np.full((6, blocks * size), 77, np.int8)),
            Out(np.full((6, blocks), 77, np.float32)),
            Out(np.full((6, blocks * size // part), 77, np.int32)),
            None,
        ]
        parameters = block(
            "quantise",
            rows=6,
            x_stride=width + 3,
            stride=blocks * size,
            width=width,
            flags=flags("multiplier") if scaled else 0,
            blocks=blocks,
            parts=blocks * size // part,
            block=size,
            part=part,
        )
        codes, scales, sums = bench.run("quantise_i8b", (blocks, 6, 1), places, parameters)
        with np.errstate(over="ignore", invalid="ignore"):
            wanted_codes, wanted_scales, _ = expected_blocks(x, group, multiplier)
        np.testing.assert_array_equal(np.isnan(scales), np.isnan(wanted_scales))
        known = np.nan_to_num(wanted_scales)
        close(np.nan_to_num(scales), known, 4 * UNIT * known)
        assert np.abs(codes.astype(int) - wanted_codes).max() <= 1
        assert (codes == wanted_codes).mean() > 0.99
        np.testing.assert_array_equal(sums, codes.reshape(6, -1, part).sum(axis=2, dtype=np.int32))


FORMS = [
    {},
    {"causal": True},
    {"causal": True, "window": 5, "key_heads": 2},
    {"causal": True, "cap": 3.0},
    {"key_heads": 1, "cap": 20.0},
]
LENGTHS = [1, 7, 0, 70, 130]


def attend(
    bench: Bench, qkv: np.ndarray, offsets: np.ndarray, heads: int, scale: float, **form
) -> np.ndarray:
    rows, key_heads = len(qkv), form.get("key_heads", heads)
    dim = qkv.shape[1] // (heads + 2 * key_heads)
    sequence_of = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    out = np.full((rows, heads * dim + 2), 7, np.float32)
    parameters = block(
        "attention",
        rows=rows,
        sequences=len(offsets) - 1,
        heads=heads,
        key_heads=key_heads,
        head_dim=dim,
        in_stride=qkv.shape[1] + 1,
        out_stride=out.shape[1],
        flags=flags("causal") if form.get("causal") else 0,
        window=form.get("window", 0),
        scale=scale,
        cap=form.get("cap", 0.0),
    )
    places = [padded_rows(qkv, 0, 1), offsets, sequence_of, Out(out)]
    found = bench.run_rows("attention", (1, rows, heads), places, parameters)
    assert (found[:, heads * dim :] == 7).all()
    return found[:, : heads * dim]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("dim", [8, 33])
def test_attention(bench, form, dim):
    rng = np.random.default_rng(SEED + dim)
    offsets = np.cumsum([0, *LENGTHS], dtype=np.int32)
    qkv = floats(rng, offsets[-1], (4 + 2 * form.get("key_heads", 4)) * dim)
    close(attend(bench, qkv, offsets, 4, dim**-0.5, **form), *attention(qkv, offsets, 4, dim**-0.5, **form))


@pytest.mark.parametrize("dim", [256, 300])
def test_attention_of_wide_heads(bench, dim):
    qkv = floats(np.random.default_rng(SEED), 9, 3 * dim)
    offsets = np.array([0, 4, 9], np.int32)
    close(attend(bench, qkv, offsets, 1, dim**-0.5), *attention(qkv, offsets, 1, dim**-0.5))


@pytest.mark.parametrize("form", [{}, {"causal": True}, {"causal": True, "window": 100, "cap": 3.0}], ids=str)
@pytest.mark.parametrize("dim", [16, 128, 130])
def test_rows_together_over_more_keys_than_a_group_remembers(bench, form, dim):
    """`run_rows` compares them to rows by themselves; sequences end within a tile, and hold one row."""
    needs(bench, "attention_rows")
    offsets = np.cumsum([0, 499 if dim > 128 else 259, 1, 17], dtype=np.int32)
    qkv = floats(np.random.default_rng(SEED + dim), offsets[-1], 3 * dim)
    close(attend(bench, qkv, offsets, 1, dim**-0.5, **form), *attention(qkv, offsets, 1, dim**-0.5, **form))


@pytest.mark.parametrize("dim", [520, 1100])
def test_rows_together_of_the_widest_heads(bench, dim):
    """Two rows a tile, and beyond what a tile holds each by itself."""
    needs(bench, "attention_rows")
    offsets = np.array([0, 9, 14], np.int32)
    qkv = floats(np.random.default_rng(SEED), 14, 3 * dim)
    close(attend(bench, qkv, offsets, 1, dim**-0.5), *attention(qkv, offsets, 1, dim**-0.5))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_damage_reaches_the_rows_that_see_it(bench, bad):
    offsets = np.array([0, 5, 12], np.int32)
    clean = floats(np.random.default_rng(SEED), 12, 3 * 16)
    whole = attend(bench, clean, offsets, 1, 0.25, causal=True)
    for column in (3, 20, 40):  # of a query, a key, a value
        qkv = clean.copy()
        qkv[7, column] = bad
        found = attend(bench, qkv, offsets, 1, 0.25, causal=True)
        reached = [7] if column < 16 else list(range(7, 12))
        rest = np.setdiff1d(np.arange(12), reached)
        np.testing.assert_array_equal(found[rest], whole[rest])
        seen = found[reached] if column < 32 else found[reached, column - 32]
        # A score of minus infinity may count as a key that is not looked at.
        assert np.isnan(seen).all() or np.isinf(bad)


@pytest.mark.parametrize("mode", ["mean", "first", "last"])
@pytest.mark.parametrize("normalise", [False, True])
def test_pooling(bench, mode, normalise):
    for width in WIDTHS:
        rng = np.random.default_rng(SEED + width)
        offsets = np.cumsum([0, 1, 2, 0, 17, 70, 3, 0], dtype=np.int32)
        x = floats(rng, offsets[-1], width)
        parameters = block(
            "pool",
            sequences=7,
            rows=len(x),
            width=width,
            x_stride=width + 1,
            mode=["mean", "first", "last"].index(mode),
            flags=flags("normalise") if normalise else 0,
        )
        places = [padded_rows(x, 0, 1), offsets, Out(np.full((7, width), 77, np.float32))]
        (found,) = bench.run("pool", (1, 7, 1), places, parameters)
        close(found, *pool(x, offsets, mode, normalise))


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("gated", [False, True])
def test_activations(bench, kind, gated):
    rng = np.random.default_rng(SEED)
    width, rows = 389, 3
    x, up = (floats(rng, rows, width) * np.float32(9) for _ in range(2))
    x[1, :4] = [0, 30, -30, np.nan]
    source = np.concatenate([x, up], axis=1) if gated else x
    used = flags("gated") if gated else 0
    options = {"rows": rows, "width": width, "kind": kind, "cap": test_activate.CAP, "flags": used}
    parameters = block("activate", **options, x_stride=source.shape[1], out_stride=width + 1)
    out = Out(np.full((rows, width + 1), 7, np.float32))
    (found,) = bench.run("activate", (width, rows, 1), [source, out], parameters)
    assert np.isnan(found[1, 3])
    x[1, 3] = found[1, 3] = 0
    expected, bound = test_activate.KINDS[kind](x.astype(np.float64))
    bound = 2 * bound
    if gated:
        expected, bound = expected * up, bound * np.abs(up) + UNIT * np.abs(expected * up)
    close(found[:, :width], expected, bound + 2.0**-120)
    if not gated:
        inside = Out(x.copy())
        parameters = block("activate", **options, x_stride=width, out_stride=width)
        (in_place,) = bench.run("activate", (width, rows, 1), [inside.array, inside], parameters)
        np.testing.assert_array_equal(in_place[[0, 2]], found[[0, 2], :width])


def test_columns(bench):
    rng = np.random.default_rng(SEED)
    x, y, multiplier = floats(rng, 3, 70), floats(rng, 3, 71), floats(rng, 70)
    parameters = block("columns", rows=3, width=69, in_stride=70, out_stride=71)
    (found,) = bench.run("sum", (69, 3, 1), [x, Out(y)], parameters)
    np.testing.assert_array_equal(found[:, :69], y[:, :69] + x[:, :69])
    np.testing.assert_array_equal(found[:, 69:], y[:, 69:])
    (found,) = bench.run("multiply", (69, 3, 1), [x, multiplier, Out(y)], parameters)
    np.testing.assert_array_equal(found[:, :69], x[:, :69] * multiplier[:69])
    np.testing.assert_array_equal(found[:, 69:], y[:, 69:])
    inside = Out(x)
    parameters = block("columns", rows=3, width=70, in_stride=70, out_stride=70)
    (found,) = bench.run("multiply", (70, 3, 1), [x, multiplier, inside], parameters)
    np.testing.assert_array_equal(found, x * multiplier)


def test_copies_of_pieces(bench):
    rng = np.random.default_rng(SEED)
    x, y = floats(rng, 4, 100), floats(rng, 4, 90)
    wanted, cleared = y.copy(), y.copy()
    for h in range(3):
        wanted[:, 5 + 20 * h :][:, :17] = x[:, 2 + 30 * h :][:, :17]
        cleared[:, 5 + 20 * h :][:, :17] = 0
    steps = {"from_first": 2, "from_step": 30, "to_first": 5, "to_step": 20}
    parameters = block("copy", rows=4, width=17, count=3, in_stride=100, out_stride=90, **steps)
    (found,) = bench.run("copy", (17, 4, 3), [x, Out(y)], parameters)
    np.testing.assert_array_equal(found, wanted)
    parameters = block("copy", rows=4, width=17, count=3, out_stride=90, to_first=5, to_step=20)
    (found,) = bench.run("clear", (17, 4, 3), [y, Out(y)], parameters)
    np.testing.assert_array_equal(found, cleared)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotations(bench, interleaved):
    for dim, rotated in [(2, 2), (30, 30), (34, 20), (128, 64)]:
        rng = np.random.default_rng(SEED + dim)
        rows, heads, first = 5, 3, 4
        x = floats(rng, rows, first + heads * dim)
        angles = rng.uniform(0, 100, (rows, rotated // 2))
        turns = np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        parameters = block(
            "rope",
            rows=rows,
            x_stride=x.shape[1],
            first=first,
            heads=heads,
            head_dim=dim,
            rotated=rotated,
            turns_stride=rotated + 1,
            flags=flags("interleaved") if interleaved else 0,
        )
        places = [Out(x), padded_rows(turns, 0, 1)]
        (found,) = bench.run("rope", (rotated // 2, rows, heads), places, parameters)
        wanted = x.copy()
        turned = wanted[:, first:].reshape(rows, heads, dim)[:, :, :rotated]
        pairs = (
            (slice(0, None, 2), slice(1, None, 2))
            if interleaved
            else (slice(0, rotated // 2), slice(rotated // 2, None))
        )
        low, high = (turned[:, :, pair].copy() for pair in pairs)
        cosine, sine = turns[:, None, : rotated // 2], turns[:, None, rotated // 2 :]
        turned[:, :, pairs[0]], turned[:, :, pairs[1]] = (
            low * cosine - high * sine,
            high * cosine + low * sine,
        )
        size = np.abs(x).max() * 4 * UNIT
        close(found, wanted, np.full(x.shape, size))


def test_work_beyond_a_group(bench):
    """Widths at every edge of the groups of threads."""
    x = floats(np.random.default_rng(SEED), 2, 700)
    for width, rows in itertools.product((63, 64, 65, 255, 256, 257, 700), (1, 2)):
        y = np.full((2, 700), 7, np.float32)
        parameters = block("copy", rows=rows, width=width, count=1, in_stride=700, out_stride=700)
        (found,) = bench.run("copy", (width, rows, 1), [x, Out(y)], parameters)
        y[:rows, :width] = x[:rows, :width]
        np.testing.assert_array_equal(found, y)
