"""Every embedding kernel of the table against NumPy, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.kernels.rows import SEED, WIDTHS, assert_only_missing_isas_are_skipped, assert_same_bits, named
from tests.reference.embed import Table

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

KINDS = ["fp32", "fp16", "int8", "int8 with zero points"]


def table(rng: np.random.Generator, kind: str, rows: int, width: int) -> Table:
    if kind == "fp32":
        return Table(rng.standard_normal((rows, width)).astype(np.float32))
    if kind == "fp16":
        values = rng.standard_normal((rows, width)) * 10.0 ** rng.integers(-8, 5, (rows, 1))
        return Table(values.clip(-65504, 65504).astype(np.float16))
    codes = rng.integers(-128, 128, (rows, width), dtype=np.int8)
    scale = rng.uniform(1e-4, 1e-2, rows).astype(np.float32)
    zero = rng.integers(-128, 128, rows).astype(np.float32) if "zero" in kind else None
    return Table(codes, scale, zero)


def ids(rng: np.random.Generator, rows: int, tokens: int) -> np.ndarray:
    return rng.integers(0, rows, tokens, dtype=np.int32)


def test_only_missing_isas_are_skipped():
    assert_only_missing_isas_are_skipped("embed")


@pytest.mark.parametrize("name", named("embed"))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", WIDTHS)
def test_three_tables(name, kind, width):
    rng = np.random.default_rng(SEED + width)
    other = KINDS[(KINDS.index(kind) + 1) % len(KINDS)]
    word, position, kinds = (
        table(rng, kind, 30, width),
        table(rng, other, 9, width),
        table(rng, kind, 2, width),
    )
    token, place, type_id = ids(rng, 30, 11), ids(rng, 9, 11), ids(rng, 2, 11)
    out = np.full((11, width), 77, np.float32)
    _native.embed_run(name, token, word, place, position, type_id, kinds, out=out)
    assert_same_bits(out, word.rows(token) + position.rows(place) + kinds.rows(type_id))


@pytest.mark.parametrize("name", named("embed"))
def test_tables_may_be_absent(name):
    rng = np.random.default_rng(SEED)
    word, kinds = table(rng, "fp32", 5, 20), table(rng, "fp16", 2, 20)
    token = ids(rng, 5, 7)
    out = np.empty((7, 20), np.float32)
    _native.embed_run(name, token, word, out=out)
    assert_same_bits(out, word.rows(token))
    _native.embed_run(name, token, word, type=kinds, out=out)
    assert_same_bits(out, word.rows(token) + kinds.rows(np.zeros(7, np.int32)))


@pytest.mark.parametrize("name", named("embed"))
def test_every_half(name):
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(64, 1024)
    out = np.empty(halves.shape, np.float32)
    _native.embed_run(name, np.arange(64, dtype=np.int32), (halves, None, None), out=out)
    assert_same_bits(out, halves.astype(np.float32))


@pytest.mark.parametrize("name", named("embed"))
def test_no_tokens(name):
    word = table(np.random.default_rng(SEED), "int8", 5, 20)
    _native.embed_run(name, np.empty(0, np.int32), word, out=np.empty((0, 20), np.float32))


@pytest.mark.parametrize("bad", [-1, 5, 2**31 - 1, -(2**31)])
def test_ids_outside_the_table_are_refused(bad):
    word = table(np.random.default_rng(SEED), "fp32", 5, 8)
    token = np.array([0, 4, bad], np.int32)
    with pytest.raises(InvalidArgumentError, match=rf"token 2 is {bad}; the table has rows 0 to 4"):
        _native.embed_run("embed_f32_scalar", token, word, out=np.empty((3, 8), np.float32))


def test_bad_tables_are_refused():
    token, out = np.zeros(1, np.int32), np.empty((1, 8), np.float32)
    codes = np.zeros((5, 8), np.int8)
    with pytest.raises(InvalidArgumentError, match="scale"):
        _native.embed_run("embed_f32_scalar", token, (codes, None, None), out=out)
    with pytest.raises(InvalidArgumentError, match="one value per row"):
        _native.embed_run("embed_f32_scalar", token, (codes, np.ones(4, np.float32), None), out=out)
    with pytest.raises(InvalidArgumentError, match="width"):
        _native.embed_run("embed_f32_scalar", token, (np.zeros((5, 7), np.float32), None, None), out=out)
