"""Kernels of language models (csrc/device/kernels.h) on every device, against NumPy and the cpu device."""

from __future__ import annotations

import numpy as np
import pytest

from tests.device.bench import Bench, Out, block, flags, needs
from tests.device.machine import open_or_skip
from tests.device.test_kernels import floats, padded_rows
from tests.kernels.rows import SEED


@pytest.fixture(scope="module")
def oracle():
    return Bench(open_or_skip("cpu"))


@pytest.mark.parametrize(
    "router",
    [
        {"top": 1},
        {"top": 4, "normalised": True},
        {"top": 3, "is_sigmoid": 1, "factor": 2.5, "bias": True},
        {"top": 4, "is_sigmoid": 1, "groups": 4, "kept": 2, "sums_two": 1, "normalised": True, "bias": True},
        {"top": 2, "groups": 8, "kept": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("experts", [8, 64, 200])
def test_routes(bench, oracle, router, experts):
    needs(bench, "route")
    rng = np.random.default_rng(SEED + experts)
    options = {"groups": 1, "kept": 1, "factor": 1.0, **router}
    used = [
        name for name, flag in (("bias", "bias"), ("normalise", "normalised")) if options.pop(flag, False)
    ]
    x, bias = floats(rng, 9, experts), floats(rng, experts)
    x[2, : experts // 2] = 1.5  # equals
    top = options["top"]
    shape = {"rows": 9, "x_stride": experts + 1, "out_stride": 2 * top + 1, "experts": experts}
    parameters = block("route", **shape, **options, flags=flags(*used))
    places = [padded_rows(x, 0, 1), bias, Out(np.full((9, 2 * top + 1), 7, np.float32))]
    (found,), (wanted,) = (one.run("route", (1, 9, 1), places, parameters) for one in (bench, oracle))
    np.testing.assert_array_equal(found[:, :top], wanted[:, :top])
    np.testing.assert_allclose(found[:, top:], wanted[:, top:], rtol=2e-6)


def test_a_router_that_meets_no_numbers(bench):
    needs(bench, "route")
    x = floats(np.random.default_rng(SEED), 2, 8)
    x[1, 5] = np.nan
    parameters = block(
        "route", rows=2, x_stride=8, out_stride=6, experts=8, top=3, groups=1, kept=1, factor=1.0
    )
    (found,) = bench.run("route", (1, 2, 1), [x, None, Out(np.zeros((2, 6), np.float32))], parameters)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1, 3:]).all()
    assert ((found[1, :3] >= 0) & (found[1, :3] < 8)).all()
    assert len(set(found[1, :3])) == 3


def test_rows_that_are_scaled_moved_and_added_up(bench):
    needs(bench, "combine")
    rng = np.random.default_rng(SEED)
    route, y = floats(rng, 5, 3), floats(rng, 5, 71)
    parameters = block("columns", rows=5, width=70, in_stride=3, out_stride=71)
    (found,) = bench.run("scale_rows", (70, 5, 1), [route, Out(y)], parameters)
    np.testing.assert_array_equal(found[:, :70], y[:, :70] * route[:, 1:2])
    np.testing.assert_array_equal(found[:, 70:], y[:, 70:])

    start, to = np.array([4, 0, 4], np.int32), np.array([2, 0, 5], np.int32)
    x, out = floats(rng, 5, 33), floats(rng, 6, 40)
    for with_from, with_to in ((True, True), (True, False), (False, True)):
        used = flags(*(["from"] if with_from else []), *(["to"] if with_to else []))
        parameters = block("move_rows", rows=3, width=32, in_stride=33, out_stride=40, flags=used)
        places = [x, start if with_from else None, to if with_to else None, Out(out)]
        (found,) = bench.run("move_rows", (32, 3, 1), places, parameters)
        wanted = out.copy()
        wanted[to if with_to else slice(3), :32] = x[start if with_from else slice(3), :32]
        np.testing.assert_array_equal(found, wanted)

    results, weights, residual = floats(rng, 10, 35), floats(rng, 5, 4), floats(rng, 5, 34)
    for has in (True, False):
        parameters = block(
            "combine",
            rows=5,
            width=33,
            top=2,
            in_stride=35,
            weights_stride=4,
            residual_stride=34,
            out_stride=34,
            flags=flags("residual") if has else 0,
        )
        out = Out(residual.copy())
        (found,) = bench.run("combine", (33, 5, 1), [results, weights, out.array, out, None], parameters)
        products = (weights[:, 2:, None] * results.reshape(5, 2, 35)[:, :, :33]).sum(axis=1)
        wanted = residual[:, :33] + products if has else products
        np.testing.assert_allclose(found[:, :33], wanted, atol=1e-5)


@pytest.mark.parametrize("width", [1, 33, 260, 3000])
@pytest.mark.parametrize("rows", [3, 19])
def test_codes_of_16_bits_and_their_products(bench, oracle, width, rows):
    needs(bench, "linear_i16_i8")
    rng = np.random.default_rng(SEED + width)
    x = (floats(rng, rows, width) * 10.0 ** rng.integers(-9, 9, (rows, 1))).astype(np.float32)
    x[1], x[2, 0] = 0, np.nan
    stride, n = -(-width // 4) * 4, 21
    sizes = {"rows": rows, "x_stride": width, "stride": stride, "width": width}
    places = [
        x,
        None,
        Out(np.full((rows, stride), 77, np.int16)),
        Out(np.full(rows, 77, np.float32)),
        Out(np.full(rows, 77, np.int32)),
        None,
    ]
    both = [
        one.run("quantise_i16", (1, rows, 1), places, block("quantise", **sizes)) for one in (bench, oracle)
    ]
    (codes, scales, sums), (wanted_codes, wanted_scales, _) = both
    np.testing.assert_allclose(scales, wanted_scales, rtol=1e-6)
    assert np.abs(codes.astype(int) - wanted_codes).max() <= 1
    np.testing.assert_array_equal(sums, codes.sum(axis=1, dtype=np.int64))
    packed = rng.integers(-127, 128, (2, -(-width // 4), 16, 4)).astype(np.int8)
    packed.reshape(2, -1, 16, 4)[:, -1, :, (width - 1) % 4 + 1 :] = 0
    weights = [rng.uniform(0.5, 2, 32).astype(np.float32), rng.integers(-9, 9, 32).astype(np.float32)]
    parameters = block("linear", rows=rows, n=n, k=width, a_stride=stride, c_stride=n, flags=flags("zeros"))
    out = Out(np.zeros((rows, n), np.float32))
    places = [wanted_codes, wanted_scales, None, sums, packed, *weights, None, None, None, None, out]
    (found,), (wanted,) = (
        one.run("linear_i16_i8", (n, rows, 1), places, parameters) for one in (bench, oracle)
    )
    np.testing.assert_array_equal(found, wanted)
