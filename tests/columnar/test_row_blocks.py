"""Blocks give back what they were given, or say that they are damaged."""

from __future__ import annotations

import bz2
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.columnar.row_blocks import CODECS, MAX_RAW_BYTES, find_block, mark_of, pack_block, unpack_block
from arrowmind.errors import ConfigurationError, MemoryStoreError

ROWS = [f"turn {i} about the sea and the {i % 7} cats".encode() for i in range(50)]


@given(st.lists(st.binary(max_size=300), max_size=40), st.sampled_from(sorted(CODECS)))
def test_rows_come_back(rows, codec):
    assert unpack_block(pack_block(rows, codec)) == rows


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_long_rows_and_many(codec):
    rows = [b"x" * 200_000, b"", *[str(i).encode() for i in range(3000)]]
    block = pack_block(rows, codec)
    assert unpack_block(block) == rows
    assert len(block) < 20_000


def test_every_single_bit_counts():
    block = pack_block(ROWS[:8])
    for place in range(8 * len(block)):
        flipped = bytearray(block)
        flipped[place // 8] ^= 1 << place % 8
        try:
            assert unpack_block(bytes(flipped)) == ROWS[:8], place
        except MemoryStoreError:
            continue


@pytest.mark.parametrize("cut", [0, 1, 19, 20, 21, -1])
def test_a_block_cut_short(cut):
    with pytest.raises(MemoryStoreError, match="is damaged"):
        unpack_block(pack_block(ROWS)[:cut])
    with pytest.raises(MemoryStoreError, match="is damaged"):
        unpack_block(pack_block(ROWS) + b"x")


@given(st.binary(max_size=200))
def test_rubbish(data):
    with pytest.raises(MemoryStoreError):
        unpack_block(data)
    with pytest.raises(MemoryStoreError):
        unpack_block(struct.pack("<4sBBHIII", b"AMBK", 1, 3, 0, 5, 100, 0) + data)


def test_a_bomb_does_not_go_off():
    body = bz2.compress(bytes(40 << 20), 9)
    head = struct.pack("<4sBBHIII", b"AMBK", 1, 1, 0, 1, 1000, 0)
    with pytest.raises(MemoryStoreError, match="checksum mismatch"):
        unpack_block(head + body)
    head = struct.pack("<4sBBHIII", b"AMBK", 1, 1, 0, 1, MAX_RAW_BYTES + 1, 0)
    with pytest.raises(MemoryStoreError, match="its lengths cannot be"):
        unpack_block(head + body)


def test_what_cannot_be_packed():
    with pytest.raises(ConfigurationError, match="use one of: bz2, lzma, zlib, dictionary"):
        pack_block([], "gzip")
    with pytest.raises(ConfigurationError, match="put at most"):
        pack_block([bytes(MAX_RAW_BYTES)])


def test_random_bytes_hardly_grow(rng):
    rows = [rng.bytes(500) for _ in range(100)]
    assert len(pack_block(rows)) < 1.02 * 50_000 + 20
    assert np.array_equal(unpack_block(pack_block(rows)), rows)


def test_a_dictionary(rng):
    dictionary = b"".join(ROWS)
    block = pack_block(ROWS[:20], "dictionary", dictionary)
    assert unpack_block(block, dictionary=dictionary) == ROWS[:20]
    assert len(block) < len(pack_block(ROWS[:20], "zlib")) / 2
    with pytest.raises(MemoryStoreError, match="needs another dictionary"):
        unpack_block(block)
    with pytest.raises(MemoryStoreError, match="needs another dictionary"):
        unpack_block(block, dictionary=dictionary[1:])


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_block_in_the_midst_of_a_file(codec, rng):
    dictionary = b"".join(ROWS)
    block = pack_block(ROWS, codec, dictionary)
    known = {mark_of(dictionary): dictionary}
    assert find_block(block + rng.bytes(100), known) == (ROWS, len(block))
    assert find_block(block[:-1], known) is None
    assert find_block(b"AMBK" + rng.bytes(40), known) is None
    if codec == "dictionary":
        assert find_block(block, {}) is None
