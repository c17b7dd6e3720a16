"""The pages of an encrypted database, one behind the other, without SQLite.

Who looks for what was forgotten must see every page, free ones and those of the log too, which no query
shows. The layout is that of SQLCipher 4 with a raw key: AES-256-CBC, and at the end of each page of 4096
bytes its initialisation vector and an HMAC-SHA512. It is not checked: a damaged page is looked through, too.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["log_pages", "pages"]

_PAGE_BYTES = 4096
_VECTOR_BYTES = 16
_RESERVED_BYTES = _VECTOR_BYTES + 64
_SALT_BYTES = 16
_LOG_HEAD_BYTES = 32
_FRAME_HEAD_BYTES = 24


def pages(source: IO[bytes], key: bytes) -> Iterator[bytes]:
    """The text of all pages of a database; what is not a whole page is passed over.

    Args:
        source: at its beginning.
        key: 32 bytes.
    """
    first = True
    while len(page := source.read(_PAGE_BYTES)) == _PAGE_BYTES:
        yield _opened(page, key, _SALT_BYTES if first else 0)
        first = False


def log_pages(source: IO[bytes], key: bytes) -> Iterator[bytes]:
    """The text of all pages in the write-ahead log of a database, out of date ones too."""
    source.read(_LOG_HEAD_BYTES)
    while len(frame := source.read(_FRAME_HEAD_BYTES + _PAGE_BYTES)) == _FRAME_HEAD_BYTES + _PAGE_BYTES:
        is_first = frame[:4] == (1).to_bytes(4, "big")
        yield _opened(frame[_FRAME_HEAD_BYTES:], key, _SALT_BYTES if is_first else 0)


def _opened(page: bytes, key: bytes, start: int) -> bytes:
    end = _PAGE_BYTES - _RESERVED_BYTES
    decryptor = Cipher(AES(key), CBC(page[end : end + _VECTOR_BYTES])).decryptor()
    return decryptor.update(page[start:end]) + decryptor.finalize()
