"""Many rows of bytes compressed together: what they share is stored once.

A block is ``<magic 4><version 1><codec 1><reserved 2><rows u32><raw bytes u32><CRC-32C of the raw bytes
u32>``, little endian, then the compressed body: lengths of the rows as varints, then the rows.
docs/formats/cold-blocks.md
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.columnar import crc32c
from arrowmind.errors import ConfigurationError, MemoryStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["BLOCK_ROWS", "CODECS", "MAX_RAW_BYTES", "pack_block", "unpack_block"]

BLOCK_ROWS = 1_024
"""Rows of a block: with fewer they share less, with more one row costs more to read."""
MAX_RAW_BYTES = 64 << 20
_HEAD = struct.Struct("<4sBBHIII")
_MAGIC = b"AMBK"
_VERSION = 1


@dataclass(frozen=True)
class Codec:
    """How bytes are compressed; decompressors stop at the length they are told."""

    number: int
    compress: Callable[[bytes], bytes]
    decompressor: Callable[[], Any]


CODECS = {
    # LoCoMo turns of 133 bytes in blocks of 1,024: bz2 33.6 bytes each, lzma 38.7, zstd-19 39.1, zlib 43.2.
    "bz2": Codec(1, lambda data: bz2.compress(data, 9), bz2.BZ2Decompressor),
    "lzma": Codec(2, lambda data: lzma.compress(data, preset=9), lzma.LZMADecompressor),
    "zlib": Codec(3, lambda data: zlib.compress(data, 9), zlib.decompressobj),
}
_BY_NUMBER = {codec.number: codec for codec in CODECS.values()}


def pack_block(rows: Sequence[bytes], codec: str = "bz2") -> bytes:
    """Rows as one block.

    Raises:
        ConfigurationError: the codec is unknown, or the rows have over 64 MiB.
    """
    if codec not in CODECS:
        raise ConfigurationError(f"codec {codec!r} is unknown; use one of: {', '.join(CODECS)}")
    raw = b"".join(map(_varint, map(len, rows))) + b"".join(rows)
    if len(raw) > MAX_RAW_BYTES:
        raise ConfigurationError(f"a block of {len(raw)} bytes; put at most {MAX_RAW_BYTES} into one")
    chosen = CODECS[codec]
    head = _HEAD.pack(_MAGIC, _VERSION, chosen.number, 0, len(rows), len(raw), crc32c(raw))
    return head + chosen.compress(raw)


def unpack_block(data: bytes, name: str = "block") -> list[bytes]:
    """The rows of a block, exactly as they were.

    Args:
        data: the block.
        name: where it comes from, for errors.

    Raises:
        MemoryStoreError: it is damaged.
    """
    raw, rows = _raw(bytes(data), name)
    lengths, place = [], 0
    for _ in range(rows):
        length, place = _read_varint(raw, place, name)
        lengths.append(length)
    if place + sum(lengths) != len(raw):
        raise _damaged(name, "its rows do not fill it")
    found = []
    for length in lengths:
        found.append(raw[place : place + length])
        place += length
    return found


def _raw(data: bytes, name: str) -> tuple[bytes, int]:
    if len(data) < _HEAD.size:
        raise _damaged(name, "too short")
    magic, version, number, reserved, rows, size, checksum = _HEAD.unpack_from(data)
    if magic != _MAGIC or version != _VERSION or reserved or number not in _BY_NUMBER:
        raise _damaged(name, "no block of version 1")
    if size > MAX_RAW_BYTES or rows > size:
        raise _damaged(name, "its lengths cannot be")
    decompressor = _BY_NUMBER[number].decompressor()
    try:
        # One byte more than there may be tells a body that is too long, and no more is ever made.
        raw = bytes(decompressor.decompress(data[_HEAD.size :], size + 1))
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise _damaged(name, str(error)) from error
    if not decompressor.eof or decompressor.unused_data or len(raw) != size or crc32c(raw) != checksum:
        raise _damaged(name, "checksum mismatch")
    return raw, rows


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(data: bytes, place: int, name: str) -> tuple[int, int]:
    value = shift = 0
    while shift < 35 and place < len(data):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise _damaged(name, "a length cannot be read")


def _damaged(name: str, reason: str) -> MemoryStoreError:
    return MemoryStoreError(f"{name}: a compressed block is damaged ({reason}); restore it from a backup")
