"""One file, encrypted or decrypted chunk by chunk: never more than two chunks in memory."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING, Protocol

from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights.encryption.header import HEADER_BYTES, TAG_BYTES, Header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from arrowmind.weights.encryption.cipher import Chunks

__all__ = ["Readable", "open_chunks", "open_regular", "read_header", "seal_chunks", "text_bytes"]


class Readable(Protocol):
    """Where text comes from: a file, or something that reads like one."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end, and fewer only there."""


def open_regular(path: Path) -> IO[bytes]:
    """Opens a file for reading.

    Raises:
        WeightError: there is none, or it is something else, such as a pipe.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise WeightError(
            f"{path} cannot be opened ({error.strerror}); give a file or a model folder"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise WeightError(f"{path} is neither a file nor a folder; remove it or give another")
    return os.fdopen(descriptor, "rb")


def read_header(source: IO[bytes], path: Path) -> Header:
    """The header; `source` then stands at the first chunk. Raises like :meth:`Header.decode`."""
    return Header.decode(source.read(HEADER_BYTES), path)


def text_bytes(size: int, header: Header) -> int:
    """Bytes of text in an encrypted file of this size, 0 for one that is cut short."""
    sealed = header.chunk_bytes + TAG_BYTES
    body = max(0, size - HEADER_BYTES)
    return max(0, body - TAG_BYTES * max(1, -(-body // sealed)))


def seal_chunks(
    source: Readable, target: IO[bytes], header: Header, chunks: Chunks, progress: Callable[[int], None]
) -> int:
    """Writes header and sealed chunks of what is left in `source`.

    Args:
        source: text to encrypt.
        target: where to write.
        header: of the new file.
        chunks: what seals.
        progress: called with bytes of text written since the last call.

    Returns:
        Bytes of text.
    """
    target.write(header.encode())
    total = 0
    for number, data, is_last in _pieces(source, header.chunk_bytes):
        target.write(chunks.seal(number, data, is_last=is_last))
        total += len(data)
        progress(len(data))
    return total


def open_chunks(source: IO[bytes], path: Path, header: Header, chunks: Chunks) -> Iterator[bytes]:
    """The text of a file, chunk by chunk; nothing of it counts before the last one has come.

    Raises:
        IntegrityError: a byte was changed, or chunks are missing, repeated, out of order or added.
    """
    for number, data, is_last in _pieces(source, header.chunk_bytes + TAG_BYTES):
        text = chunks.open(number, data, is_last=is_last)
        if text is None:
            raise _damage(path, chunks, number, data, is_last=is_last)
        if number and not text:
            raise IntegrityError(f"{path}: its last chunk is empty, which no writer does; copy it again")
        yield text


def _pieces(source: Readable, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes and whether it is the last of each piece; a source without bytes has one empty piece."""
    number, data = 0, source.read(size)
    while following := source.read(size):
        yield number, data, False
        number, data = number + 1, following
    yield number, data, True


def _damage(path: Path, chunks: Chunks, number: int, data: bytes, *, is_last: bool) -> IntegrityError:
    if len(data) < TAG_BYTES:
        what = "it is cut short"
    elif chunks.open(number, data, is_last=not is_last) is not None:
        what = "it is cut short" if is_last else "bytes follow its end"
    else:
        what = f"chunk {number} is damaged, cut short, or not in its place"
    return IntegrityError(f"{path}: {what}; nothing of it is used, copy it again")
