"""The key of a store: random, in one file, sealed with the secret of its owner.

Another secret is another such file; what is encrypted with the key itself stays as it is.
"""

from __future__ import annotations

import io
import os
import secrets
from typing import TYPE_CHECKING

from arrowmind.errors import IntegrityError, MemoryStoreError
from arrowmind.privacy.journal import open_private, publish_private
from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.file import open_chunks, read_header, seal_chunks
from arrowmind.weights.encryption.header import COST_LOG2, FILE
from arrowmind.weights.encryption.model import check_secret

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.weights.encryption.secret import Secret

__all__ = ["KEY_BYTES", "new_key", "read_key", "secret_kind", "write_key"]

KEY_BYTES = 32


def new_key() -> bytes:
    """A key that nobody has."""
    return secrets.token_bytes(KEY_BYTES)


def write_key(path: Path, key: bytes, secret: Secret, cost_log2: int = COST_LOG2) -> None:
    """Makes the file, or replaces it whole.

    Args:
        path: of the file; mode 600.
        key: of the store.
        secret: opens the file from now on.
        cost_log2: scrypt's N as a power of two, 14 to 19.

    Raises:
        ConfigurationError: the passphrase is too short.
        StorageError: it cannot be written.
    """
    check_secret(secret, cost_log2)
    header, chunks = Keys.fresh(secret, cost_log2).create(FILE)
    sealed = io.BytesIO()
    seal_chunks(io.BytesIO(key), sealed, header, chunks, lambda _count: None)
    publish_private(path, sealed.getvalue())


def read_key(path: Path, secret: Secret) -> bytes:
    """The key of a store.

    Raises:
        MemoryStoreError: the file is gone.
        IntegrityError: the secret is another, or the file is damaged.
        WeightError: the file is none of these, or was sealed with a secret of the other kind.
    """
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise MemoryStoreError(f"{path}: is gone; put it back, without it nothing can be read") from error
    with os.fdopen(descriptor, "rb") as source:
        header = read_header(source, path)
        keys = Keys.of(secret, header, path)
        key = b"".join(open_chunks(source, path, header, keys.open(header, path)))
    if len(key) != KEY_BYTES:
        raise IntegrityError(f"{path}: holds no key of a store; put the right file back")
    return key


def secret_kind(path: Path) -> int:
    """`header.KEY` or `header.PASSPHRASE`: what opens the file. Raises like `read_key`."""
    with path.open("rb") as source:
        return read_header(source, path).kind
