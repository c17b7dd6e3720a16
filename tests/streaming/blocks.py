"""Blocks of random tokens, and a store of a few sizes."""

from __future__ import annotations

import numpy as np

from arrowmind.streaming import Block, BlockStore, StoreIdentity, block_terms

SEED = 5
TOKENS, DIMENSION = 16, 8
IDENTITY = StoreIdentity("model", TOKENS, DIMENSION, "fp16", 1024, "int8", 512)


def block(number, grade="quantised", tokens=None, before=(), summary=None):
    rng = np.random.default_rng([SEED, number])
    tokens = rng.integers(0, 1000, TOKENS) if tokens is None else np.asarray(tokens)
    size = IDENTITY.payload_bytes(("exact", "quantised", "reduced").index(grade))
    return Block(
        position=TOKENS * number,
        tokens=tokens.astype(np.int32),
        grade=grade,
        terms=block_terms(tokens, before),
        summary=rng.standard_normal(DIMENSION).astype(np.float32) if summary is None else summary,
        payload=rng.integers(0, 256, size).astype(np.uint8),
    )


def filled(folder, count, **change):
    store = BlockStore(IDENTITY, folder, **change)
    for number in range(count):
        store.append(block(number, ("exact", "quantised", "reduced")[number % 3]))
    return store


def assert_equal(one, other):
    assert (one.position, one.grade) == (other.position, other.grade)
    for name in ("tokens", "terms", "payload"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    bound = np.abs(other.summary).max() / 254 * 1.001
    np.testing.assert_allclose(one.summary, other.summary, atol=bound)
