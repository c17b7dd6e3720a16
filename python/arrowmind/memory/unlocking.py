"""The keys of a store: found before anything of it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage.encryption import finish_change, is_changing, lacks_key
from arrowmind.memory.storage.lock import hold_lock
from arrowmind.memory.storage.paths import StorePaths

if TYPE_CHECKING:
    from pathlib import Path

    from arrowmind.weights.encryption.secret import Secret

__all__ = ["refuse_lost_key", "unlock"]

_SETTING = "privacy.store_key"


def unlock(
    root: Path, secret: Secret | None, where: str, busy_seconds: float, *, create: bool = False
) -> StorePaths:
    """The folder of a store with the keys to what is in it.

    Args:
        root: the folder.
        secret: of its owner; None takes what the setting names.
        where: the setting `privacy.store_key`; empty is the key in ARROWMIND_KEY.
        busy_seconds: how long to wait for another process that encrypts or decrypts the store.
        create: a new store is encrypted if there is a secret or the setting names one.

    Raises:
        MemoryStoreError: the store is not encrypted although it should be, or the file of its key is gone.
        IntegrityError: the secret is not that of the store.
        ConfigurationError: the store is encrypted, and there is no secret.
    """
    paths = StorePaths(root)
    if is_changing(paths):
        with hold_lock(paths.lock, busy_seconds):
            paths = _keyed(root, secret, where)
            finish_change(paths)
    is_asked_for = secret is not None or bool(where)
    if is_asked_for and not paths.key.exists() and not lacks_key(paths):
        if paths.catalogue.exists():
            raise MemoryStoreError(
                f"{root}: is not encrypted, and a key was given for it ({_SETTING}, or an argument); encrypt "
                "it (`arrowmind memory encrypt`), or open it without"
            )
        if not create:
            return paths
        _make_key(paths, secret, where, busy_seconds)
    return _keyed(root, secret, where)


def refuse_lost_key(paths: StorePaths) -> None:
    """Raises MemoryStoreError if a store is encrypted and the file of its key is gone."""
    if lacks_key(paths):
        raise MemoryStoreError(
            f"{paths.key}: is gone, and the store is encrypted; put it back, without it nothing can be read"
        )


def _keyed(root: Path, secret: Secret | None, where: str) -> StorePaths:
    paths = StorePaths(root)
    refuse_lost_key(paths)
    if not paths.key.exists():
        return paths
    # With them comes the package `cryptography`, which other stores do without.
    from arrowmind.privacy.sealed.cipher import StoreCipher  # noqa: PLC0415
    from arrowmind.privacy.sealed.key_file import read_key  # noqa: PLC0415

    return StorePaths(root, StoreCipher(read_key(paths.key, secret or _secret(root, where))))


def _make_key(paths: StorePaths, secret: Secret | None, where: str, busy_seconds: float) -> None:
    from arrowmind.privacy.sealed.key_file import new_key, write_key  # noqa: PLC0415  as above

    paths.make()
    with hold_lock(paths.lock, busy_seconds):
        if not paths.key.exists() and not paths.catalogue.exists():
            write_key(paths.key, new_key(), secret or _secret(paths.root, where))


def _secret(root: Path, where: str) -> Secret:
    from arrowmind.privacy.opening import secret_of  # noqa: PLC0415  as above

    return secret_of(where, _SETTING, f"{root} is encrypted and needs its key")
