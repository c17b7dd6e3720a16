"""Kernels of language models (csrc/device/kernels.h) on every device, against NumPy and the cpu device."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from tests.device.bench import Bench, Out, block, flags
from tests.device.machine import open_or_skip
from tests.device.test_kernels import close, floats, padded_rows
from tests.kernels.rows import SEED
from tests.reference.attention import attention

PAGE = 16
KINDS = ["fp32", "fp16", "int8"]
LENGTHS = [1, 40, 7, 17]
FORMS = [{}, {"window": 5}, {"cap": 3.0}, {"window": 33, "cap": 20.0}]


@pytest.fixture(scope="module")
def oracle():
    return Bench(open_or_skip("cpu"))


class Shape(NamedTuple):
    """Heads, and how a page holds them: two layers of which the second is used."""

    heads: int
    key_heads: int
    dim: int
    kind: str

    def members(self) -> dict[str, int]:
        width, size = -(-self.dim // 16) * 16, [4, 2, 1][KINDS.index(self.kind)]
        values = PAGE * width * size
        scales = 2 * values
        part = -(-(scales + (4 * PAGE if self.kind == "int8" else 0)) // 64) * 64
        return {
            "heads": self.heads,
            "key_heads": self.key_heads,
            "head_dim": self.dim,
            "page_tokens": PAGE,
            "format": KINDS.index(self.kind),
            "first_byte": self.key_heads * part,
            "head_bytes": part,
            "values": values,
            "key_scales": scales,
            "value_scales": scales + (2 * PAGE if self.kind == "int8" else 0),
        }


class Sequences:
    """Rows of a few sequences, and where their pages are: in no order."""

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        self.shape = shape
        self.offsets = np.cumsum([0, *LENGTHS], dtype=np.int32)
        self.qkv = floats(rng, self.offsets[-1], (shape.heads + 2 * shape.key_heads) * shape.dim)
        if shape.kind == "fp16":
            self.qkv = self.qkv.astype(np.float16).astype(np.float32)
        self.sequence_of = np.repeat(np.arange(len(LENGTHS), dtype=np.int32), LENGTHS)
        self.place_of = np.concatenate([np.arange(length, dtype=np.int32) for length in LENGTHS])
        words = 2 * shape.key_heads * shape.members()["head_bytes"] // 4
        stride, count = 4, 12
        self.table = rng.permutation(count).astype(np.uint32)[: stride * len(LENGTHS)]
        self.table = np.resize(self.table, (len(LENGTHS), stride))
        used = [-(-length // PAGE) for length in LENGTHS]
        order = iter(rng.permutation(count))
        for row, pages in enumerate(used):
            self.table[row, :pages] = [next(order) for _ in range(pages)]
        self.table *= np.uint32(words)
        self.pages = np.zeros(count * words, np.uint32)
        norm = np.float32((shape.dim & -shape.dim) ** -0.5)
        self.signs = rng.choice([-norm, norm], shape.dim).astype(np.float32)

    def _parameters(self, kind: str, **more: float) -> bytes:
        members = self.shape.members()
        return block(
            kind,
            rows=len(self.qkv),
            sequences=len(LENGTHS),
            in_stride=self.qkv.shape[1] + 1,
            table_stride=self.table.shape[1],
            **members,
            **more,
        )

    def _places(self) -> list[np.ndarray]:
        return [padded_rows(self.qkv, 0, 1), self.table, self.sequence_of, self.place_of, self.signs]

    def write(self, bench: Bench) -> np.ndarray:
        work = (1, len(self.qkv), self.shape.key_heads)
        places = [*self._places(), Out(self.pages)]
        return bench.run("cache_write", work, places, self._parameters("cache_write"))[0]

    def attend(self, bench: Bench, pages: np.ndarray, **form: float) -> np.ndarray:
        size = self.shape.heads * self.shape.dim
        out = np.full((len(self.qkv), size + 3), 7, np.float32)
        options = {"out_stride": size + 3, "scale": self.shape.dim**-0.5, **form}
        parameters = self._parameters("cached_attention", **options)
        places = [*self._places(), pages, Out(out)]
        work = (1, len(self.qkv), self.shape.heads)
        (found,) = bench.run("cached_attention", work, places, parameters)
        assert (found[:, size:] == 7).all()
        return found[:, :size]


def needs(bench: Bench, name: str) -> None:
    if not bench.has(name):
        pytest.skip(f"this device has no {name} yet")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("heads", "key_heads", "dim"), [(4, 2, 24), (2, 2, 33), (3, 1, 130)])
def test_pages_are_those_of_the_cpu(bench, oracle, kind, heads, key_heads, dim):
    needs(bench, "cache_write")
    rows = Sequences(Shape(heads, key_heads, dim, kind), np.random.default_rng(SEED))
    rows.qkv[3, -1], rows.qkv[9, heads * dim] = 1e30, -1e-7  # a value that is too large, a key that is tiny
    found, wanted = rows.write(bench), rows.write(oracle)
    if kind != "int8":
        np.testing.assert_array_equal(found, wanted)
        return
    # Steps are halves that may differ by a unit, codes by one.
    assert (found != wanted).mean() < 0.01
    assert np.abs(found.view(np.int8).astype(int) - wanted.view(np.int8)).max() <= 1


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("kind", ["fp32", "fp16"])
@pytest.mark.parametrize(("heads", "key_heads", "dim"), [(4, 2, 24), (2, 1, 33)])
def test_attention_over_pages(bench, form, kind, heads, key_heads, dim):
    needs(bench, "cached_attention")
    rows = Sequences(Shape(heads, key_heads, dim, kind), np.random.default_rng(SEED))
    found = rows.attend(bench, rows.write(bench), **form)
    scale = dim**-0.5
    options = {"causal": True, "key_heads": key_heads, **form}
    close(found, *attention(rows.qkv, rows.offsets, heads, scale, **options))


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("dim", [24, 33, 128])
def test_attention_over_codes(bench, oracle, form, dim):
    needs(bench, "cached_attention")
    rows = Sequences(Shape(4, 2, dim, "int8"), np.random.default_rng(SEED))
    pages = rows.write(oracle)
    np.testing.assert_allclose(
        rows.attend(bench, pages, **form), rows.attend(oracle, pages, **form), atol=2e-5, rtol=0
    )


def test_a_row_depends_on_nothing_behind_it(bench):
    needs(bench, "cached_attention")
    rows = Sequences(Shape(2, 1, 24, "fp16"), np.random.default_rng(SEED))
    pages = rows.write(bench)
    whole = rows.attend(bench, pages)
    rows.qkv[30, 2 * 24] = np.nan  # a key
    found = rows.attend(bench, rows.write(bench))
    reached = (rows.sequence_of == rows.sequence_of[30]) & (rows.place_of >= rows.place_of[30])
    assert np.isnan(found[reached]).all()
    np.testing.assert_array_equal(found[~reached], whole[~reached])


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
        (found,) = bench.run("combine", (33, 5, 1), [results, weights, out.array, out], parameters)
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
