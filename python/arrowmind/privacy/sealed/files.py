"""Files that only a key opens. What they hold is in memory alone, never in a file with a name."""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING, Any, cast

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from arrowmind.columnar.publication import publish
from arrowmind.columnar.reader import ArrowFile
from arrowmind.errors import IntegrityError, MemoryStoreError
from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.file import open_chunks, open_regular, read_header
from arrowmind.weights.encryption.header import (
    CHUNK_LOG2,
    FILE,
    HEADER_BYTES,
    KEY,
    MAGIC,
    SALT_BYTES,
    TAG_BYTES,
    Header,
)
from arrowmind.weights.encryption.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.weights.encryption.cipher import Chunks

__all__ = ["SealedFiles", "anonymous"]

_KEY_BYTES = 32


class SealedFiles:
    """Files in the format of docs/formats/encrypted.md, each under a key of its folder and name.

    So a file that is renamed, or put in the place of another, does not open.
    """

    def __init__(self, key: bytes) -> None:
        """Takes the key of all files."""
        self._key = key

    @contextlib.contextmanager
    def publish(self, path: Path) -> Iterator[IO[bytes]]:
        """A file to write to; see `columnar.publish`."""
        header, chunks = self._keys(path).create(FILE)
        with publish(path) as file:
            sealing = _Sealing(file, header, chunks)
            yield cast("IO[bytes]", sealing)
            sealing.finish()

    def open_arrow(self, path: Path) -> ArrowFile:
        """Opens the whole file into memory, and reads it there."""
        with self.opened(path) as memory:
            file = ArrowFile.open(f"/proc/self/fd/{memory.fileno()}")
        file.path = str(path)
        return file

    def read(self, path: Path) -> bytes:
        """Opens the whole file."""
        return b"".join(self._pieces(path))

    def stored_bytes(self, size: int) -> int:
        """With header and tags."""
        chunks = max(1, -(-size >> CHUNK_LOG2))
        return HEADER_BYTES + size + TAG_BYTES * chunks

    def opened(self, path: Path) -> contextlib.AbstractContextManager[IO[bytes]]:
        """What a file holds, in memory. Raises like `read`."""
        return anonymous(path.name, self._pieces(path))

    def owns(self, path: Path) -> bool:
        """Whether a file was made with this key under this name; what it holds is not looked at."""
        with path.open("rb") as source:
            head = source.read(HEADER_BYTES)
        if not head.startswith(MAGIC):
            return False
        try:
            header = Header.decode(head, path)
            self._keys(path, header.salt).open(header, path)
        except IntegrityError:
            return False
        return True

    def _pieces(self, path: Path) -> Iterator[bytes]:
        if not path.exists():
            raise FileNotFoundError(2, os.strerror(2), str(path))
        with open_regular(path) as source:
            header = read_header(source, path)
            chunks = self._keys(path, header.salt).open(header, path)
            yield from open_chunks(source, path, header, chunks)

    def _keys(self, path: Path, salt: bytes | None = None) -> Keys:
        name = f"{path.parent.name}/{path.name}".encode("utf-8", "surrogateescape")
        root = HKDF(SHA256(), _KEY_BYTES, salt=None, info=name).derive(self._key)
        secret = Secret(KEY, root)
        return Keys(secret, os.urandom(SALT_BYTES) if salt is None else salt, 0, 0)


class _Sealing:
    """Takes bytes and writes sealed chunks. The last one is known at the end only, so one is held back."""

    def __init__(self, target: IO[bytes], header: Header, chunks: Chunks) -> None:
        self._target, self._chunks, self._bytes = target, chunks, header.chunk_bytes
        self._number, self._held = 0, bytearray()
        target.write(header.encode())

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._held += view
        while len(self._held) > self._bytes:
            self._seal(bytes(self._held[: self._bytes]), is_last=False)
            del self._held[: self._bytes]
        return len(view)

    def finish(self) -> None:
        self._seal(bytes(self._held), is_last=True)

    def _seal(self, data: bytes, *, is_last: bool) -> None:
        self._target.write(self._chunks.seal(self._number, data, is_last=is_last))
        self._number += 1


@contextlib.contextmanager
def anonymous(name: str, pieces: Iterator[bytes]) -> Iterator[IO[bytes]]:
    """A file in memory that has no name on any disk; it lives as long as somebody has it open or mapped.

    Raises:
        MemoryStoreError: this system has none.
    """
    if not hasattr(os, "memfd_create"):
        raise MemoryStoreError("an encrypted store needs files without names (memfd), which only Linux has")
    with os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC), "w+b") as memory:
        for piece in pieces:
            memory.write(piece)
        memory.flush()
        memory.seek(0)
        yield memory
