"""The key of a store: salts what its log tells of queries, and signs its receipts. It encrypts nothing."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from arrowmind.errors import ConfigurationError
from arrowmind.privacy.journal import held, make_private_folder, publish_private
from arrowmind.weights.encryption.header import KEY
from arrowmind.weights.encryption.secret import key_from_file, parse_key

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.privacy.sealed.cipher import StoreCipher
    from arrowmind.weights.encryption.secret import Secret

__all__ = ["StoreKey", "load_store_key", "store_key_path", "write_store_key"]

_NAME = "store.key"


class StoreKey:
    """Keyed hashes, other ones for every purpose."""

    def __init__(self, secret: Secret) -> None:
        """Takes a key.

        Raises:
            ConfigurationError: it is a passphrase.
        """
        if secret.kind != KEY:
            raise ConfigurationError("a store signs with a key, not with a passphrase; give 32 bytes of one")
        self._root = secret.value

    def digest(self, purpose: str, data: bytes) -> str:
        """HMAC-SHA256 in hex, under a key derived for the purpose."""
        key = hmac.digest(self._root, purpose.encode(), "sha256")
        return hmac.digest(key, data, "sha256").hex()


def load_store_key(folder: Path, cipher: StoreCipher | None = None) -> StoreKey:
    """The key in `folder/store.key` (mode 600); made if there is none.

    Args:
        folder: of what is private in a store.
        cipher: of the store, if it is encrypted; its key is, too, in a file of another name.

    Raises:
        ConfigurationError: others may read it, or it holds no key.
        IntegrityError: it is sealed and damaged, or of another store.
        StorageError: it cannot be made.
    """
    path = store_key_path(folder, cipher)
    if not path.exists():
        make_private_folder(folder)
        with held(folder / f"{_NAME}.lock"):
            if not path.exists():
                write_store_key(path, f"{secrets.token_hex(32)}\n".encode(), cipher)
    if cipher is None:
        return StoreKey(key_from_file(path))
    return StoreKey(parse_key(cipher.files.read(path).decode(), str(path)))


def store_key_path(folder: Path, cipher: StoreCipher | None) -> Path:
    """The file of the key."""
    return folder / (_NAME if cipher is None else f"store.{cipher.mark}.key")


def write_store_key(path: Path, line: bytes, cipher: StoreCipher | None) -> None:
    """Makes the file of the key, whole.

    Raises:
        StorageError: it cannot be made.
    """
    if cipher is None:
        publish_private(path, line)
        return
    with cipher.files.publish(path) as file:
        file.write(line)
