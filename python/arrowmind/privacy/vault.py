"""What pseudonyms stand for, encrypted: a folder with a key of its own for every namespace.

::

    vault.key      a random key, sealed with the caller's secret (the format of docs/formats/encrypted.md)
    NAME.key       the random key of a namespace, sealed with that one
    NAME.values    what its pseudonyms stand for, sealed with the key of the namespace; only appended to
    vault.lock     held while any of them is written

NAME is a keyed hash of the namespace. Without its key a namespace is noise: destroying the key forgets it.
"""

from __future__ import annotations

import contextlib
import hmac
import io
import json
import os
import secrets
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from arrowmind.columnar import sync_folder
from arrowmind.errors import IntegrityError, StorageError
from arrowmind.observe import get_logger
from arrowmind.privacy.journal import (
    append_bytes,
    held,
    make_private_folder,
    open_private,
    publish_private,
)
from arrowmind.weights.encryption.cipher import Keys
from arrowmind.weights.encryption.file import open_chunks, read_header, seal_chunks
from arrowmind.weights.encryption.header import COST_LOG2, FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.weights.encryption.secret import Secret

__all__ = ["Vault"]

_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_LENGTH_BYTES = 4
_HEAD_BYTES = 8  # the length and its checksum
_MAX_RECORD_BYTES = 256 << 20
_log = get_logger(__name__)


class Vault:
    """Pseudonyms and what they stand for. Several processes and threads may use one folder at once.

    A value that got a number keeps it for as long as its namespace lasts, and a number is never given twice.
    What the vault holds of a namespace that is used is also in the memory of the process.
    """

    def __init__(self, folder: str | os.PathLike[str], secret: Secret, *, cost_log2: int = COST_LOG2) -> None:
        """Opens a vault, or makes one.

        Args:
            folder: its folder; mode 700.
            secret: key or passphrase that seals it; `arrowmind.weights.encryption.secret` reads them.
            cost_log2: scrypt's N as a power of two for a new vault with a passphrase.

        Raises:
            IntegrityError: the secret is wrong, or the vault is damaged.
            WeightError: the vault was sealed with the other kind of secret.
            StorageError: it cannot be made.
        """
        self._folder = Path(folder)
        make_private_folder(self._folder)
        with held(self._lock):
            if not self._master_path.exists():
                if any(self._folder.glob("*.values")):
                    raise IntegrityError(
                        f"{self._folder}: its key vault.key is gone, and with it what the pseudonyms stood "
                        "for; remove the folder, or put the key back"
                    )
                self._make(secret, cost_log2)
            self._master = self._open(secret)
        self._threads = threading.RLock()
        self._spaces: dict[str, _Space] = {}

    @property
    def _lock(self) -> Path:
        return self._folder / "vault.lock"

    @property
    def _master_path(self) -> Path:
        return self._folder / "vault.key"

    def numbers(self, namespace: str, values: Sequence[tuple[str, str]]) -> list[int]:
        """The number of each kind and value; new ones are on disk when this returns.

        Args:
            namespace: whose.
            values: kind and value of each.

        Raises:
            IntegrityError: the vault is damaged, or its key was destroyed meanwhile.
            StorageError: it cannot be written.
        """
        with self._threads:
            space = self._space(namespace)
            if not all(value in space.by_value for value in values):
                with held(self._lock):
                    self._check_key()
                    space = self._space(namespace, make=True)
                    space.read()
                    space.add(values)
            return [space.by_value[value] for value in values]

    def value(self, namespace: str, kind: str, number: int) -> str | None:
        """What a pseudonym stands for; None if it is not one of this namespace.

        Raises:
            IntegrityError: the vault is damaged.
        """
        with self._threads:
            space = self._space(namespace)
            if (kind, number) not in space.by_number:
                space.read()
            return space.by_number.get((kind, number))

    def forget(self, namespace: str) -> bool:
        """Destroys the key of a namespace, then what was sealed with it; whether there was any.

        The key is overwritten and removed. Copies elsewhere (backups, snapshots of the file system, blocks
        that an SSD keeps) open it still, together with `vault.key` and the secret.

        Raises:
            StorageError: it cannot be removed.
        """
        with self._threads, held(self._lock):
            self._spaces.pop(namespace, None)
            name = self._name(namespace)
            found = [
                self._destroy(self._folder / f"{name}.key"),
                self._remove(self._folder / f"{name}.values"),
            ]
            sync_folder(self._folder)
        _log.info("pseudonyms of a namespace were forgotten", folder=str(self._folder))
        return any(found)

    def destroy(self) -> None:
        """Destroys the key of the vault and all others: no pseudonym can be revealed again.

        Raises:
            StorageError: it cannot be removed.
        """
        with self._threads, held(self._lock):
            for path in (self._master_path, *sorted(self._folder.glob("*.key"))):
                self._destroy(path)
            for path in sorted(self._folder.glob("*.values")):
                self._remove(path)
            sync_folder(self._folder)
            self._spaces.clear()
            self._master = b""
        _log.info("a vault of pseudonyms was destroyed", folder=str(self._folder))

    def _make(self, secret: Secret, cost_log2: int) -> None:
        header, chunks = Keys.fresh(secret, cost_log2).create(FILE)
        sealed = io.BytesIO()
        seal_chunks(io.BytesIO(secrets.token_bytes(_KEY_BYTES)), sealed, header, chunks, lambda _count: None)
        publish_private(self._master_path, sealed.getvalue())

    def _open(self, secret: Secret) -> bytes:
        path = self._master_path
        with os.fdopen(open_private(path, os.O_RDONLY), "rb") as source:
            header = read_header(source, path)
            master = b"".join(
                open_chunks(source, path, header, Keys.of(secret, header, path).open(header, path))
            )
        if len(master) != _KEY_BYTES:
            raise IntegrityError(f"{path}: holds no key of a vault; put the right file back")
        return master

    def _check_key(self) -> None:
        if not self._master or not self._master_path.exists():
            raise IntegrityError(f"{self._folder}: the vault was destroyed; open a new one")

    def _name(self, namespace: str) -> str:
        return hmac.digest(
            self._master, b"namespace " + namespace.encode("utf-8", "surrogatepass"), "sha256"
        )[:16].hex()

    def _space(self, namespace: str, *, make: bool = False) -> _Space:
        """The namespace as it was read last; read anew if its key was destroyed or made meanwhile."""
        if not self._master:
            raise IntegrityError(f"{self._folder}: the vault was destroyed; open a new one")
        path = self._folder / f"{self._name(namespace)}.key"
        sealed = path.read_bytes() if path.exists() else b""
        if not sealed and make:
            sealed = _seal(AESGCM(self._master), secrets.token_bytes(_KEY_BYTES), path.name)
            publish_private(path, sealed)
        space = self._spaces.get(namespace)
        if space is None or space.sealed_key != sealed:
            key = _unseal(AESGCM(self._master), sealed, path.name, path) if sealed else None
            space = self._spaces[namespace] = _Space(path.with_suffix(".values"), sealed, key)
            space.read()
        return space

    def _destroy(self, path: Path) -> bool:
        """Overwrites a key, waits for the disk, removes it."""
        with contextlib.suppress(FileNotFoundError):
            descriptor = open_private(path, os.O_RDWR)
            try:
                os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
                os.fsync(descriptor)
            except OSError as error:
                raise StorageError(f"{path}: cannot be overwritten ({error.strerror})") from error
            finally:
                os.close(descriptor)
        return self._remove(path)

    def _remove(self, path: Path) -> bool:
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageError(f"{path}: cannot be removed ({error.strerror}); remove it") from error
        return True


class _Space:
    """The pseudonyms of one namespace, as read so far."""

    def __init__(self, path: Path, sealed_key: bytes, key: bytes | None) -> None:
        self.path, self.sealed_key = path, sealed_key
        self.by_value: dict[tuple[str, str], int] = {}
        self.by_number: dict[tuple[str, int], str] = {}
        self._cipher = AESGCM(key) if key is not None else None
        self._highest: dict[str, int] = {}
        self._read_bytes = 0
        self._records = 0

    def read(self) -> None:
        """Reads what was appended since."""
        if self._cipher is None:
            return
        try:
            with os.fdopen(open_private(self.path, os.O_RDONLY), "rb") as source:
                source.seek(self._read_bytes)
                data = source.read()
        except FileNotFoundError:
            return
        place = 0
        while (record := _record(data, place, self.path)) is not None:
            for kind, number, value in self._opened(record, len(data) - place):
                self._learn(kind, number, value)
            place += _HEAD_BYTES + len(record)
            self._read_bytes += _HEAD_BYTES + len(record)
            self._records += 1

    def add(self, values: Sequence[tuple[str, str]]) -> None:
        """Gives numbers to those that have none, as one record; what a kill left unfinished is cut off."""
        cipher = self._cipher
        if cipher is None:
            raise IntegrityError(f"{self.path}: has no key")
        new = [value for value in dict.fromkeys(values) if value not in self.by_value]
        if not new:
            return
        entries, highest = [], dict(self._highest)
        for kind, value in new:
            highest[kind] = highest.get(kind, 0) + 1
            entries.append((kind, highest[kind], value))
        record = _seal(cipher, json.dumps(entries).encode(), self._aad())
        is_new = not self.path.exists()
        descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT)
        try:
            self._cut(descriptor)
            append_bytes(descriptor, self.path, _framed(record))
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.path.parent)
        self._read_bytes += _HEAD_BYTES + len(record)
        self._records += 1
        for kind, number, value in entries:
            self._learn(kind, number, value)

    def _cut(self, descriptor: int) -> None:
        rest = os.fstat(descriptor).st_size - self._read_bytes
        if rest > 0:
            _log.warning("an unfinished record of a vault is removed", file=str(self.path), bytes=rest)
            os.ftruncate(descriptor, self._read_bytes)

    def _opened(self, record: bytes, left: int) -> list[tuple[str, int, str]]:
        entries: Any = None
        if self._cipher is not None:
            with contextlib.suppress(InvalidTag):
                text = self._cipher.decrypt(
                    record[:_NONCE_BYTES], record[_NONCE_BYTES:], self._aad().encode()
                )
                entries = json.loads(text)
        if entries is None:
            raise _damaged(self.path, left)
        return [(str(kind), int(number), str(value)) for kind, number, value in entries]

    def _learn(self, kind: str, number: int, value: str) -> None:
        self.by_value[kind, value] = number
        self.by_number[kind, number] = value
        self._highest[kind] = max(number, self._highest.get(kind, 0))

    def _aad(self) -> str:
        """Binds a record to its place: none can be left out, repeated or moved."""
        return f"{self.path.name} {self._records}"


def _framed(record: bytes) -> bytes:
    length = len(record).to_bytes(_LENGTH_BYTES, "little")
    return length + zlib.crc32(length).to_bytes(4, "little") + record


def _record(data: bytes, place: int, path: Path) -> bytes | None:
    """The record at a place; None where it is not whole, as a writer that was killed leaves it.

    Raises:
        IntegrityError: its length was changed, which no kill does.
    """
    head = data[place : place + _HEAD_BYTES]
    if len(head) < _HEAD_BYTES or not any(head):
        return None
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    is_sound = zlib.crc32(head[:_LENGTH_BYTES]) == int.from_bytes(head[_LENGTH_BYTES:], "little")
    if not is_sound or not _NONCE_BYTES + _TAG_BYTES <= length <= _MAX_RECORD_BYTES:
        raise _damaged(path, len(data) - place)
    record = data[place + _HEAD_BYTES : place + _HEAD_BYTES + length]
    return record if len(record) == length and any(record[-_TAG_BYTES:]) else None


def _damaged(path: Path, left: int) -> IntegrityError:
    return IntegrityError(
        f"{path}: a record {left} bytes before its end is damaged; put the file back from a backup, or "
        "forget the namespace"
    )


def _seal(cipher: AESGCM, data: bytes, aad: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, aad.encode())


def _unseal(cipher: AESGCM, sealed: bytes, aad: str, path: Path) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], aad.encode())
    except (InvalidTag, ValueError) as error:
        raise IntegrityError(f"{path}: is damaged or of another vault; put the right file back") from error
