"""Encryption of a whole store: on, off, and under another key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory.keeping.encrypting import EncryptionReport, change_encryption, refuse_encrypted
from arrowmind.memory.opening import open_catalogue
from arrowmind.memory.settings import StoreSettings
from arrowmind.memory.storage.encryption import finish_change, holds_store, is_changing
from arrowmind.memory.storage.lock import hold_lock
from arrowmind.memory.storage.paths import StorePaths
from arrowmind.memory.unlocking import refuse_lost_key, unlock
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    import os

    from arrowmind.observe import Progress
    from arrowmind.weights.encryption.secret import Secret

__all__ = ["EncryptionReport", "decrypt_store", "encrypt_store", "rotate_store"]


def encrypt_store(
    path: str | os.PathLike[str], secret: Secret, *, progress: Progress = no_progress
) -> EncryptionReport:
    """Encrypts a store that is not; nobody else may have it open.

    Every file is written anew and the old ones are removed, so there must be room for both. A kill at any
    moment leaves the store as it was or encrypted.

    Args:
        path: its folder.
        secret: a key or a passphrase, from `arrowmind.weights.encryption.secret`.
        progress: called with (bytes written, all, "bytes").

    Raises:
        MemoryStoreError: there is no store, it is encrypted, in use or damaged, or there is no room.
        ConfigurationError: the passphrase is too short, or SQLCipher is not installed.
    """
    old = _plain(Path(path))
    return change_encryption(old, _with_new_key(old), secret, _busy(), progress)


def decrypt_store(
    path: str | os.PathLike[str], secret: Secret, *, progress: Progress = no_progress
) -> EncryptionReport:
    """Gives back a store that is not encrypted, with the same memories. Otherwise as `encrypt_store`.

    Raises:
        IntegrityError: the secret is not that of the store.
        MemoryStoreError: the store is not encrypted, in use or damaged, or there is no room.
    """
    old = _sealed(Path(path), secret)
    return change_encryption(old, StorePaths(old.root), None, _busy(), progress)


def rotate_store(
    path: str | os.PathLike[str],
    secret: Secret,
    new_secret: Secret,
    *,
    anew: bool = False,
    progress: Progress = no_progress,
) -> EncryptionReport:
    """Gives an encrypted store another secret.

    Args:
        path: its folder.
        secret: what opens it.
        new_secret: what opens it from now on.
        anew: also encrypt everything under a new key, as after a theft of both a copy of the file
            `encryption.key` and its secret; nobody else may have the store open then.
        progress: called with (bytes written, all, "bytes").

    Raises:
        IntegrityError: the secret is not that of the store.
        ConfigurationError: the new passphrase is too short.
        MemoryStoreError: the store is not encrypted; with `anew`, it is in use or damaged, or without room.
    """
    old = _sealed(Path(path), secret)
    if anew:
        return change_encryption(old, _with_new_key(old), new_secret, _busy(), progress)
    from arrowmind.privacy.sealed.key_file import write_key  # noqa: PLC0415  with cryptography

    if old.cipher is None:
        raise InvalidArgumentError(f"{path}: is not encrypted")
    with hold_lock(old.lock, _busy()):
        write_key(old.key, old.cipher.key, new_secret)
    return EncryptionReport(encrypted=True, files=1, bytes=0)


def _busy() -> float:
    return StoreSettings().busy_seconds


def _plain(root: Path) -> StorePaths:
    """A store that is not encrypted, of this version of its tables."""
    paths = _existing(root)
    with hold_lock(paths.lock, _busy()):
        refuse_encrypted(paths)
        refuse_lost_key(paths)
        if is_changing(paths):
            finish_change(paths)
    open_catalogue(paths, _busy(), create=False).close()
    return paths


def _sealed(root: Path, secret: Secret) -> StorePaths:
    """One that is, likewise."""
    if not _existing(root).key.exists():
        raise MemoryStoreError(f"{root}: is not encrypted; `arrowmind memory encrypt` does that")
    paths = unlock(root, secret, "", _busy())
    open_catalogue(paths, _busy(), create=False).close()
    return paths


def _existing(root: Path) -> StorePaths:
    if not holds_store(root):
        raise MemoryStoreError(f"{root}: holds no memory store; remember something there first")
    return StorePaths(root)


def _with_new_key(old: StorePaths) -> StorePaths:
    from arrowmind.privacy.sealed.cipher import StoreCipher  # noqa: PLC0415  with cryptography
    from arrowmind.privacy.sealed.key_file import new_key  # noqa: PLC0415

    return StorePaths(old.root, StoreCipher(new_key()))
