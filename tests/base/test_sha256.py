"""SHA-256 in every implementation that this machine has, against the standard library."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from arrowmind import _native

SEED = 20261122
# Around the ends of a block, with and without room for the length behind the padding.
SIZES = (0, 1, 3, 54, 55, 56, 62, 63, 64, 65, 118, 119, 120, 127, 128, 183, 1000, 65536)


@pytest.fixture(params=["", "avx512", "avx2", "neon", "scalar"])
def implementation(request, monkeypatch):
    names = {row["name"] for row in _native.isas() if row["detected"]}
    if request.param and request.param not in names:
        pytest.skip(f"{request.param} is not of this processor")
    monkeypatch.setenv("ARROWMIND_MAX_ISA", request.param)
    _native.reload_environment()
    yield _native.sha256_implementation()
    monkeypatch.undo()
    _native.reload_environment()


def test_digests_are_those_of_the_standard(implementation):
    data = np.random.default_rng(SEED).integers(0, 256, 70000, dtype=np.uint8)
    for size in SIZES:
        assert _native.sha256(data[:size]) == hashlib.sha256(data[:size]).digest(), (implementation, size)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 15, 16, 17, 37])
def test_messages_side_by_side(implementation, count):
    random = np.random.default_rng(SEED)
    for size in SIZES[1:]:
        rows = random.integers(0, 256, (count, size), dtype=np.uint8)
        expected = b"".join(hashlib.sha256(b"\x05" + row.tobytes()).digest() for row in rows)
        assert _native.sha256_rows(rows, 5) == expected, (implementation, size)


def test_scalar_code_is_used_where_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("ARROWMIND_MAX_ISA", "scalar")
    _native.reload_environment()
    try:
        assert _native.sha256_implementation() == "scalar"
    finally:
        monkeypatch.undo()
        _native.reload_environment()
