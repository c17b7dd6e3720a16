"""What is derived from the key of a store. docs/formats/encrypted-store.md is the specification."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from arrowmind.privacy.sealed.files import SealedFiles
from arrowmind.privacy.sealed.key_file import KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.columnar.files import Files

__all__ = ["StoreCipher"]

_INFO = b"arrowmind.store 1 "
_MARK_BYTES = 8


class StoreCipher:
    """Keys of one store.

    Attributes:
        key: 32 bytes from which all others come.
        mark: 16 hex digits that stand in the names of files which belong to this key.
    """

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.mark = self._derived(b"mark")[:_MARK_BYTES].hex()
        self._files = SealedFiles(self._derived(b"files"))
        self._names = self._derived(b"blobs")

    def __repr__(self) -> str:
        return f"StoreCipher({self.mark})"

    @property
    def files(self) -> Files:
        """How segments, blobs and the like are written and read."""
        return self._files

    @property
    def database_key(self) -> str:
        """Key of the databases, 64 hex digits."""
        return self._derived(b"databases").hex()

    def blob_name(self, sha256: str) -> str:
        """Name of the blob of this hash, 64 hex digits: a bare hash would tell who has the same bytes."""
        return hmac.digest(self._names, bytes.fromhex(sha256), "sha256").hex()

    def owns(self, path: Path) -> bool:
        """Whether a file belongs to this key; what it holds is not looked at."""
        return self._files.owns(path)

    def _derived(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=_INFO + purpose).derive(self.key)
