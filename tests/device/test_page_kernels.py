"""Keys and values in pages, on every device, against NumPy and the cpu device."""

from __future__ import annotations

import numpy as np
import pytest

from tests.device.bench import Bench, needs
from tests.device.machine import open_or_skip
from tests.device.pages import DROPPED, KINDS, LENGTHS, PAGE, SMALL, Sequences, Shape
from tests.device.test_kernels import close
from tests.kernels.rows import SEED
from tests.reference.attention import attention

FORMS = [{}, {"window": 5}, {"cap": 3.0}, {"window": 33, "cap": 20.0}]
EXACT = ("cpu", "cuda")
"""Kinds of devices whose sums and quotients are those of the CPU."""


@pytest.fixture(scope="module")
def oracle():
    return Bench(open_or_skip("cpu"))


def is_exact(bench: Bench) -> bool:
    return bench.device.name.split(":")[0] in EXACT


@pytest.mark.parametrize("kind", KINDS[:4])
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


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize(("key_heads", "dim"), [(2, 24), (1, 33), (2, 64), (1, 130)])
def test_small_pages_are_those_of_the_cpu(bench, oracle, kind, key_heads, dim):
    needs(bench, "cache_shrink")
    rows = Sequences(Shape(2, key_heads, dim, kind), np.random.default_rng(SEED))
    first = rows.offsets[3]
    rows.qkv[first + 20 : first + 30] *= np.exp2(np.arange(-14, 16, 3))[:, np.newaxis]
    rows.qkv[first + 33] = 0
    rows.qkv[first + 40, 2 * dim] = np.nan
    pages = rows.write(oracle)
    found, wanted = rows.shrink(bench, pages), rows.shrink(oracle, pages)
    if is_exact(bench):
        np.testing.assert_array_equal(found, wanted)
        return
    # A quotient on a tie, or two steps that are as good: a code, or all of a row, may be another.
    for page in range(1, 5):
        places = rows.small_table[3, page] + np.arange(rows.shape.small.words)
        for head in range(key_heads):
            one, other = (rows.shape.small.decoded(which[places], head) for which in (found, wanted))
            largest = np.nan_to_num(np.abs(other)).max(axis=2, keepdims=True)
            is_far = np.abs(one - other) > 1e-6 * largest
            assert is_far.mean() < 0.02
            np.testing.assert_array_equal(np.isnan(one), np.isnan(other))


@pytest.mark.parametrize("kind", SMALL)
def test_small_pages_are_near_what_they_were_made_of(bench, kind):
    """No element is further from its own than half a step, or than what was clipped off; by NumPy alone."""
    needs(bench, "cache_shrink")
    rows = Sequences(Shape(2, 1, 64, kind), np.random.default_rng(SEED))
    pages = rows.write(bench)
    small = rows.shrink(bench, pages)
    for page in rows.small_pages(3, LENGTHS[3]):
        words, small_words = rows.shape.full.words, rows.shape.small.words
        exact = rows.shape.full.decoded(pages[rows.full_table[3, page] :][:words], 0)
        made = rows.shape.small.decoded(small[rows.small_table[3, page] :][:small_words], 0)
        levels = np.array([16, 16 if kind == "k4v4" else 8]).reshape(2, 1, 1)
        top = np.abs(exact).max(axis=2, keepdims=True)
        error = np.abs(made - exact)
        inside = np.abs(exact) <= 0.6 * top
        assert (error <= 1.01 * top / levels)[inside].all()
        assert (error <= 0.41 * top + top / levels).all()
        mean = (error**2).mean(axis=2) / (exact**2).mean(axis=2)
        assert np.median(mean[0]) < 0.0125
        assert np.median(mean[1]) < (0.0125 if kind == "k4v4" else 0.041)


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
@pytest.mark.parametrize("kind", ["int8", *SMALL])
@pytest.mark.parametrize("dim", [24, 33, 128])
def test_attention_over_codes(bench, oracle, form, kind, dim):
    needs(bench, "cached_attention")
    rows = Sequences(Shape(4, 2, dim, kind), np.random.default_rng(SEED))
    pages = rows.write(oracle)
    small = rows.shrink(oracle, pages) if kind in SMALL else None
    found, wanted = (rows.attend(one, pages, small, **form) for one in (bench, oracle))
    np.testing.assert_allclose(found, wanted, atol=2e-5, rtol=0)
    if is_exact(bench):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("form", [{}, FORMS[3]], ids=str)
@pytest.mark.parametrize("kind", SMALL)
def test_attention_over_small_pages_and_others(bench, oracle, form, kind):
    """Each row against NumPy over what it sees: small by its own place, or because there is nothing else."""
    needs(bench, "cached_attention")
    heads, key_heads, dim = 4, 2, 24
    rows = Sequences(Shape(heads, key_heads, dim, kind), np.random.default_rng(SEED))
    pages = rows.write(oracle)
    small = rows.shrink(oracle, pages)
    found = rows.attend(bench, pages, small, **form)
    options = {"causal": True, "key_heads": key_heads, **form}
    for sequence, length in enumerate(LENGTHS):
        first = PAGE * len(DROPPED.get(sequence, []))  # rows that write a page do not read it small
        for tokens in {1, first + 1, first + 20, first + 37, length}:
            if not first < tokens <= length:
                continue
            held = rows.seen(sequence, tokens, pages, small)
            wanted, bound = attention(held, [0, tokens], heads, dim**-0.5, **options)
            # Queries are turned, and results back: as many more roundings as the rotation has steps.
            close(found[rows.offsets[sequence] + tokens - 1], wanted[-1], 4 * bound[-1])


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


@pytest.mark.parametrize("kind", SMALL)
def test_no_number_in_a_small_page_reaches_who_does_not_see_it(bench, kind):
    needs(bench, "cached_attention")
    rows = Sequences(Shape(2, 1, 16, kind), np.random.default_rng(SEED))
    whole = rows.attend(bench, rows.write(bench), rows.shrink(bench, rows.write(bench)))
    broken = rows.offsets[3] + 40
    rows.qkv[broken, 2 * 16] = np.nan  # a key; the rotation takes it to all of the head
    pages = rows.write(bench)
    found = rows.attend(bench, pages, rows.shrink(bench, pages))
    reached = (rows.sequence_of == 3) & (rows.place_of >= 40)
    assert np.isnan(found[reached]).all()
    before = ~reached & (rows.sequence_of != 3)
    np.testing.assert_array_equal(found[before], whole[before])
