"""Many rows of bytes compressed together: what they share is stored once.

A block is ``<magic 4><version 1><codec 1><mark 2><rows u32><raw bytes u32><CRC-32C of the raw bytes u32>``,
little endian, then the compressed body: lengths of the rows as varints, then the rows. The mark tells which
dictionary a block was compressed with, 0 for none. docs/formats/cold-blocks.md
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.columnar.reader import crc32c
from arrowmind.errors import ConfigurationError, MemoryStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "CODECS",
    "HEAD_BYTES",
    "MAGIC",
    "MAX_DICTIONARY_BYTES",
    "MAX_RAW_BYTES",
    "find_block",
    "mark_of",
    "most_bytes",
    "pack_block",
    "unpack_block",
]

MAX_DICTIONARY_BYTES = 32 << 10
"""What deflate looks back; more of a dictionary would be of no use."""
MAX_RAW_BYTES = 64 << 20
_HEAD = struct.Struct("<4sBBHIII")
HEAD_BYTES = _HEAD.size
MAGIC = b"AMBK"
_VERSION = 1
_WINDOW = -15  # of deflate, without a head of its own


@dataclass(frozen=True)
class Codec:
    """How bytes are compressed, given a dictionary; decompressors stop at the length they are told."""

    number: int
    compress: Callable[[bytes, bytes], bytes]
    decompressor: Callable[[bytes], Any]


def _deflate(data: bytes, dictionary: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, 9, zdict=dictionary)
    return packer.compress(data) + packer.flush()


CODECS = {
    # LoCoMo turns of 148 bytes, 1,024 in a block: bz2 37.5 bytes each and 3.9 ms to read one, lzma 42.9 and
    # 2.5, zlib 48.1 and 0.6. With a dictionary, 64 in a block: 49.2 with all of the dictionary, and 0.04 ms.
    "bz2": Codec(1, lambda data, _: bz2.compress(data, 9), lambda _: bz2.BZ2Decompressor()),
    "lzma": Codec(2, lambda data, _: lzma.compress(data, preset=9), lambda _: lzma.LZMADecompressor()),
    "zlib": Codec(3, lambda data, _: zlib.compress(data, 9), lambda _: zlib.decompressobj()),
    "dictionary": Codec(4, _deflate, lambda dictionary: zlib.decompressobj(_WINDOW, zdict=dictionary)),
}
_WITH_DICTIONARY = 4
_BY_NUMBER = {codec.number: codec for codec in CODECS.values()}


def mark_of(dictionary: bytes) -> int:
    """Two bytes of its checksum, not 0: which dictionary a block needs."""
    return crc32c(dictionary) & 0xFFFF or 1


def pack_block(rows: Sequence[bytes], codec: str = "bz2", dictionary: bytes = b"") -> bytes:
    """Rows as one block.

    Args:
        rows: any bytes.
        codec: one of `CODECS`.
        dictionary: what rows may be like, for the codec of that name; needed to read them again.

    Raises:
        ConfigurationError: the codec is unknown, or the rows have over 64 MiB.
    """
    if codec not in CODECS:
        raise ConfigurationError(f"codec {codec!r} is unknown; use one of: {', '.join(CODECS)}")
    raw = b"".join(map(_varint, map(len, rows))) + b"".join(rows)
    if len(raw) > MAX_RAW_BYTES:
        raise ConfigurationError(f"a block of {len(raw)} bytes; put at most {MAX_RAW_BYTES} into one")
    chosen = CODECS[codec]
    mark = mark_of(dictionary) if chosen.number == _WITH_DICTIONARY else 0
    head = _HEAD.pack(MAGIC, _VERSION, chosen.number, mark, len(rows), len(raw), crc32c(raw))
    return head + chosen.compress(raw, dictionary)


def unpack_block(data: bytes, name: str = "block", dictionary: bytes = b"") -> list[bytes]:
    """The rows of a block, exactly as they were.

    Args:
        data: the block.
        name: where it comes from, for errors.
        dictionary: that it was made with.

    Raises:
        MemoryStoreError: it is damaged.
    """
    data = bytes(data)
    raw, used, rows = _raw(data, name, dictionary)
    if used != len(data):
        raise _damaged(name, "something stands behind it")
    return _split(raw, rows, name)


def most_bytes(head: bytes) -> int:
    """So many bytes has a block at most that begins like this; 0 if none does."""
    if len(head) < _HEAD.size or not head.startswith(MAGIC):
        return 0
    size = int(_HEAD.unpack_from(head)[5])
    return _HEAD.size + size + size // 8 + 1024 if size <= MAX_RAW_BYTES else 0


def find_block(data: bytes, dictionaries: dict[int, bytes]) -> tuple[list[bytes], int] | None:
    """The rows of the block that data begin with, and its bytes; None if they do not begin with one.

    Args:
        data: may go on behind the block.
        dictionaries: by their marks.
    """
    try:
        *_, number, mark, _, _, _ = _HEAD.unpack_from(data)
        dictionary = dictionaries[mark] if number == _WITH_DICTIONARY else b""
        raw, used, rows = _raw(data, "block", dictionary)
        return _split(raw, rows, "block"), used
    except (struct.error, KeyError, MemoryStoreError):
        return None


def _split(raw: bytes, rows: int, name: str) -> list[bytes]:
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


def _raw(data: bytes, name: str, dictionary: bytes) -> tuple[bytes, int, int]:
    """The body, bytes of the whole block, and how many rows the body has."""
    if len(data) < _HEAD.size:
        raise _damaged(name, "too short")
    magic, version, number, mark, rows, size, checksum = _HEAD.unpack_from(data)
    if magic != MAGIC or version != _VERSION or number not in _BY_NUMBER:
        raise _damaged(name, "no block of version 1")
    if mark != (mark_of(dictionary) if number == _WITH_DICTIONARY else 0):
        raise _damaged(name, "it needs another dictionary")
    if size > MAX_RAW_BYTES or rows > size:
        raise _damaged(name, "its lengths cannot be")
    decompressor = _BY_NUMBER[number].decompressor(dictionary)
    try:
        # One byte more than there may be tells a body that is too long, and no more is ever made.
        raw = bytes(decompressor.decompress(data[_HEAD.size :], size + 1))
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise _damaged(name, str(error)) from error
    if not decompressor.eof or len(raw) != size or crc32c(raw) != checksum:
        raise _damaged(name, "checksum mismatch")
    return raw, len(data) - len(decompressor.unused_data), rows


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
