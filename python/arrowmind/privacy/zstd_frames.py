"""Where a frame of zstd ends (RFC 8878, 3.1.1), so that it can be unpacked out of the midst of a file."""

from __future__ import annotations

import io
from typing import IO

__all__ = ["MAGIC", "Slice", "frame_length"]

MAGIC = b"\x28\xb5\x2f\xfd"
_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)
_CHECKSUM_BYTES = 4
_REPEATED = 1
_RESERVED = 3


def frame_length(source: IO[bytes], offset: int) -> int:
    """Bytes of the frame that begins at an offset; 0 if none does, or it is not whole."""
    source.seek(offset)
    head = source.read(5)
    if len(head) < len(MAGIC) + 1 or not head.startswith(MAGIC):
        return 0
    descriptor = head[4]
    is_single = bool(descriptor & 0x20)
    size_bytes = _SIZE_BYTES[descriptor >> 6] or int(is_single)
    length = 5 + (not is_single) + _DICTIONARY_BYTES[descriptor & 3] + size_bytes
    is_last = False
    while not is_last:
        source.seek(offset + length)
        block = source.read(3)
        if len(block) < 3:
            return 0
        value = int.from_bytes(block, "little")
        is_last, kind, size = bool(value & 1), value >> 1 & 3, value >> 3
        if kind == _RESERVED:
            return 0
        length += 3 + (1 if kind == _REPEATED else size)
    length += _CHECKSUM_BYTES if descriptor & 4 else 0
    return length if source.seek(0, io.SEEK_END) >= offset + length else 0


class Slice(io.RawIOBase):
    """A part of a file as a file; closing it leaves the whole one open."""

    def __init__(self, file: IO[bytes], offset: int, length: int) -> None:
        self._file, self._left = file, length
        file.seek(offset)

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes of the part."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data
