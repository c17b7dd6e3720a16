"""CRC-32C by the CPU's instruction and by table, against the bitwise definition."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.columnar import crc32c


def by_definition(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.fixture(params=["native", "table"])
def path(request, monkeypatch):
    if request.param == "table":
        monkeypatch.setenv("ARROWMIND_MAX_ISA", "scalar")
    _native.reload_environment()
    yield request.param
    monkeypatch.undo()
    _native.reload_environment()


# Check value of the CRC catalogue, and the vectors of RFC 3720, B.4.
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_known_values(path, data, expected):
    assert crc32c(data) == expected


# Sizes around the edges of the three-way blocks (3 * 256, 3 * 8192) and of the 8-byte steps.
SIZES = [*range(20), 255, 767, 768, 769, 775, 1536, 24575, 24576, 24577, 24576 + 768 + 13]


def test_every_size_and_misalignment(path):
    seed = 7
    data = np.random.default_rng(seed).integers(0, 256, max(SIZES) + 8, dtype=np.uint8)
    for size in SIZES:
        for start in (0, 1, 7) if size < 1000 else (3,):
            piece = data[start : start + size]
            assert crc32c(piece) == by_definition(piece.tobytes()), f"{seed=} {size=} {start=}"


def test_pieces_continue(path):
    data = np.random.default_rng(8).integers(0, 256, 60_000, dtype=np.uint8)
    whole = crc32c(data)
    for cut in (0, 1, 9, 768, 24_576, 59_999, 60_000):
        assert crc32c(data[cut:], crc32c(data[:cut])) == whole


def test_both_paths_agree_on_a_large_buffer(monkeypatch):
    data = np.random.default_rng(9).integers(0, 256, 3_000_001, dtype=np.uint8)
    fast = crc32c(data)
    monkeypatch.setenv("ARROWMIND_MAX_ISA", "scalar")
    _native.reload_environment()
    try:
        assert crc32c(data) == fast
    finally:
        monkeypatch.undo()
        _native.reload_environment()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_contiguous_buffer(kind):
    assert crc32c(kind(b"123456789")) == 0xE3069283
    assert crc32c(np.frombuffer(b"12345678", np.float32)) == crc32c(b"12345678")
    assert crc32c(np.zeros((2, 3), np.int16)) == crc32c(bytes(12))
    with pytest.raises(TypeError):
        crc32c("text")
