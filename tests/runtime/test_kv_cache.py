"""The cache of keys and values at its boundary: sizes, owners of pages, and plans that do not fit it."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import CacheFullError, InvalidArgumentError

LAYERS = [(0, 2, 16), (1, 1, 32), (0, 2, 16)]
PAGE = 16
# Two layers of two heads of 16, one of one head of 32, keys and values, in fp16.
TOKEN_BYTES = 2 * 2 * (2 * 2 * 16 + 32)


def cache(layers=LAYERS, kind="fp16", page_tokens=PAGE, max_tokens=96, **change):
    return _native.KvCache(layers, kind, page_tokens, max_tokens, **change)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"layers": []}, "0 layers"),
        ({"layers": [(0, 0, 16)]}, "0 heads"),
        ({"layers": [(0, 1, 1 << 40)]}, "heads of up to"),
        ({"layers": [(0, 1 << 40, 1)]}, "heads of up to"),
        ({"layers": [(-1, 1, 16)]}, "group -1"),
        ({"layers": [(1, 1, 16)]}, "group 1"),
        ({"layers": [(0, 1, 16), (0, 1, 16), (2, 1, 16)]}, "without gaps"),
        ({"kind": "fp8"}, "fp8"),
        ({"page_tokens": 8}, "multiple of 16"),
        ({"page_tokens": -16}, "multiple of 16"),
        ({"page_tokens": 1 << 30}, "multiple of 16"),
        ({"max_tokens": 0}, "at least 1"),
        ({"max_tokens": 1 << 62}, "larger than any memory"),
        ({"kind": "k4v3", "max_tokens": 1 << 62}, "larger than any memory"),
        ({"sinks": -1}, "sinks"),
        ({"recent": 1 << 40}, "recent"),
        ({"chunk": 0}, "at once"),
    ],
)
def test_sizes_are_checked_before_memory_is_taken(change, what):
    with pytest.raises(InvalidArgumentError, match=what):
        cache(**change)


def test_memory_is_taken_page_by_page_up_to_the_bound():
    pages = cache()
    assert pages.bound_bytes == 96 * TOKEN_BYTES
    assert (pages.held_bytes, pages.free_tokens) == (0, 96)
    one, two = pages.start(), pages.start()
    pages.reserve([(one, 17), (two, 1)])
    assert pages.used_bytes == pages.held_bytes == 3 * PAGE * TOKEN_BYTES
    assert pages.free_tokens == 48
    # Of two that do not both fit, none gets anything.
    with pytest.raises(CacheFullError, match="tokens need"):
        pages.reserve([(one, 64), (two, 33)])
    assert pages.free_tokens == 48
    # What was reserved and not used is given back by forgetting nothing.
    pages.forget(one, 0)
    assert (pages.free_tokens, pages.held_bytes) == (80, 3 * PAGE * TOKEN_BYTES)
    pages.close(two)
    pages.trim()
    assert (pages.free_tokens, pages.held_bytes) == (96, 0)


def test_growth_that_cannot_be():
    pages = cache()
    one = pages.start()
    for growth, what in [
        ([(one, 1), (one, 1)], "twice"),
        ([(one, -1)], "-1 tokens"),
        ([(one, 1 << 40)], "at most"),
        ([(7, 1)], "not open"),
    ]:
        with pytest.raises(InvalidArgumentError, match=what):
            pages.reserve(growth)
    assert pages.used_bytes == 0


def plan(layer, longest=8):
    made = _native.Plan(vocabulary=5, max_length=longest, output_columns=16)
    joined, context = made.buffer("fp32", 48), made.buffer("fp32", 16)
    table = np.random.default_rng(3).standard_normal((5, 48)).astype(np.float32)
    word = {"type": "fp32", "shape": (5, 48), "codes": table.reshape(-1).view(np.uint8)}
    made.embed(joined, word={**word, "scales": None, "zero_points": None})
    made.attention(joined, context, heads=1, causal=True, layer=layer)
    made.result(context)
    made.finish()
    return made


def append(pages, sequences, lengths, layer=0):
    ids = np.ones(sum(lengths), np.int32)
    offsets = np.cumsum([0, *lengths], dtype=np.int32)
    return plan(layer).run_cached(pages, sequences, ids, offsets, _native.ThreadPool(1))


def test_plans_that_do_not_fit_the_cache():
    pages = cache([(0, 1, 16)])
    one = pages.start()
    assert append(pages, [one], [3]).shape == (3, 16)
    assert pages.length(one) == 3
    for lengths, sequences, layer, what in [
        ([2], [one], 1, "attention layer 1"),
        ([2], [one], -1, "no layer"),
        ([2], [one, one], 0, "one more than sequences"),
        ([2, 2], [one, one], 0, "twice"),
        ([2], [9], 0, "not open"),
        ([0], [one], 0, "1 to 8"),
        ([9], [one], 0, "1 to 8"),
    ]:
        with pytest.raises(InvalidArgumentError, match=what):
            append(pages, sequences, lengths, layer)
        assert pages.length(one) == 3
    wide = cache([(0, 1, 32)])
    with pytest.raises(InvalidArgumentError, match="not what the cache was made for"):
        append(wide, [wide.start()], [2])
    assert append(pages, [one], [1]).shape == (1, 16)


def stream(pages, one, tokens, steps):
    """What comes of tokens that are appended in these steps."""
    made = plan(0, 16)
    ids, rows, done = np.arange(tokens, dtype=np.int32) * 3 % 5, [], 0
    for step in steps:
        part, offsets = ids[done : done + step], np.array([0, step], np.int32)
        rows.append(made.run_cached(pages, [one], part, offsets, _native.ThreadPool(1)))
        done += step
    return np.concatenate(rows)


@pytest.mark.parametrize("kind", ["k4v4", "k4v3"])
def test_tokens_are_written_again_where_pages_become_small(kind):
    """Into the pages that are there: small ones stay shared, those in full come and go again."""
    pages = cache([(0, 1, 16)], kind, max_tokens=320, recent=8, chunk=16)
    one = pages.start()
    first = stream(pages, one, 150, [6] * 25)
    other = pages.fork(one, 150)
    used = pages.used_bytes
    for sequence in (one, other):
        with pytest.raises(InvalidArgumentError, match="all tokens are written again"):
            pages.rewind(sequence, 16)
        pages.rewind(sequence, 0)
        assert pages.length(sequence) == 0
        np.testing.assert_array_equal(stream(pages, sequence, 150, [16] * 9 + [6]), first)
        assert pages.used_bytes == used
    # Stopped in the middle, it has all of its tokens again, and what was small alone is so again.
    pages.rewind(one, 0)
    stream(pages, one, 40, [16, 16, 8])
    pages.rewind(one, 150)
    assert (pages.length(one), pages.used_bytes) == (150, used)
    with pytest.raises(InvalidArgumentError, match="it cannot go to"):
        pages.rewind(one, 161)
    assert stream(pages, one, 4, [4]).shape == (4, 16)
    for sequence in (one, other):
        pages.close(sequence)
    assert pages.used_bytes == 0
