"""From a secret to the keys of one file, and from chunks of text to sealed chunks.

The chunks are STREAM (Hoang, Reyhanitabar, Rogaway, Vizar: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, CRYPTO 2015): the nonce of a chunk is its number and whether it is the last, so
that chunks cannot change places, be left out, repeated or cut off. The key is another one for every file, so
that no nonce repeats under a key.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights.encryption.header import (
    COST_LOG2,
    ID_BYTES,
    KEY,
    MAC_BYTES,
    PASSPHRASE,
    SALT_BYTES,
    Header,
)

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.weights.encryption.secret import Secret

__all__ = ["Chunks", "Keys"]

_KEY_BYTES = 32
_INFO = b"arrowmind.encrypted 1"
_NAMES = {KEY: "key", PASSPHRASE: "passphrase"}


class Keys:
    """The key of a folder, derived once; makes and checks the headers of its files."""

    def __init__(self, secret: Secret, salt: bytes, cost_log2: int, lanes: int) -> None:
        """Derives the key: from a passphrase with scrypt, which takes its time; a key is taken as it is."""
        self._kind, self._salt = secret.kind, salt
        self._cost_log2, self._lanes = cost_log2, lanes
        self._root = secret.value
        if secret.kind == PASSPHRASE:
            scrypt = Scrypt(salt=salt, length=_KEY_BYTES, n=1 << cost_log2, r=8, p=lanes)
            self._root = scrypt.derive(secret.value)

    @classmethod
    def fresh(cls, secret: Secret, cost_log2: int = COST_LOG2) -> Keys:
        """For something new, under a new salt."""
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(secret, salt, cost_log2, 1) if secret.kind == PASSPHRASE else cls(secret, salt, 0, 0)

    @classmethod
    def of(cls, secret: Secret, header: Header, path: Path) -> Keys:
        """For what has this header.

        Raises:
            WeightError: it was encrypted with a secret of the other kind.
        """
        if secret.kind != header.kind:
            raise WeightError(
                f"{path} was encrypted with a {_NAMES[header.kind]}, not a {_NAMES[secret.kind]}; give that"
            )
        return cls(secret, header.salt, header.cost_log2, header.lanes)

    def create(self, role: int) -> tuple[Header, Chunks]:
        """A header for a new file, and what seals its chunks."""
        file_id = secrets.token_bytes(ID_BYTES)
        header = Header(self._salt, file_id, role, self._kind, cost_log2=self._cost_log2, lanes=self._lanes)
        mac_key, chunk_key = self._file_keys(header)
        header = replace(header, mac=_mac(mac_key, header))
        return header, Chunks(chunk_key, header)

    def open(self, header: Header, path: Path) -> Chunks:
        """What opens the chunks of a file.

        Raises:
            IntegrityError: the header was not made with this key, or is damaged.
        """
        if (header.kind, header.salt) != (self._kind, self._salt):
            raise IntegrityError(
                f"{path} does not belong to this folder: its salt differs; copy the folder again"
            )
        mac_key, chunk_key = self._file_keys(header)
        if not hmac.compare_digest(_mac(mac_key, header), header.mac):
            raise IntegrityError(
                f"{path}: the {_NAMES[self._kind]} is not the one it was encrypted with, or its header is "
                f"damaged; give the right {_NAMES[self._kind]} or copy it again"
            )
        return Chunks(chunk_key, header)

    def _file_keys(self, header: Header) -> tuple[bytes, bytes]:
        derivation = HKDF(SHA256(), 2 * _KEY_BYTES, salt=header.salt + header.file_id, info=_INFO)
        keys = derivation.derive(self._root)
        return keys[:_KEY_BYTES], keys[_KEY_BYTES:]


class Chunks:
    """Seals and opens the chunks of one file."""

    def __init__(self, key: bytes, header: Header) -> None:
        """Takes the file's own key; the header is authenticated with every chunk."""
        self._cipher, self._header = AESGCM(key), header.encode()

    def seal(self, number: int, data: bytes, *, is_last: bool) -> bytes:
        """Chunk and tag."""
        return self._cipher.encrypt(_nonce(number, is_last=is_last), data, self._header)

    def open(self, number: int, data: bytes, *, is_last: bool) -> bytes | None:
        """The text of a chunk; None if it is not this chunk of this file, untouched."""
        with contextlib.suppress(InvalidTag):
            return self._cipher.decrypt(_nonce(number, is_last=is_last), data, self._header)
        return None


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _mac(key: bytes, header: Header) -> bytes:
    return hmac.digest(key, header.encode()[:-MAC_BYTES], "sha256")
