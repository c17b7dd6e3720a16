"""What the settings of the section `privacy` ask for, opened for one store."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.config import KEY_VARIABLE
from arrowmind.errors import ConfigurationError
from arrowmind.privacy.access.log import AccessLog, LogSettings
from arrowmind.privacy.guard import Guard
from arrowmind.privacy.redactor import Redactor
from arrowmind.privacy.registry import NONE
from arrowmind.privacy.store_key import StoreKey, load_store_key
from arrowmind.privacy.vault import Vault
from arrowmind.weights.encryption.secret import (
    key_from_environment,
    key_from_file,
    key_from_keyring,
    passphrase_from_file,
)

if TYPE_CHECKING:
    from arrowmind.config import PrivacySettings
    from arrowmind.privacy.detector import NameFinder
    from arrowmind.privacy.sealed.cipher import StoreCipher
    from arrowmind.weights.encryption.secret import Secret

__all__ = ["Privacy", "open_privacy", "secret_of"]


@dataclass(frozen=True)
class Privacy:
    """What a store needs to keep its promises.

    Attributes:
        redactor: takes private data out of texts before they are kept; None if nothing is to be looked for.
        log: the access log; None if it is turned off.
        guard: who may do what.
        key: signs receipts.
        principal: who this process acts as when a call does not say.
    """

    redactor: Redactor | None
    log: AccessLog | None
    guard: Guard
    key: StoreKey
    principal: str

    def close(self) -> None:
        """Writes what the log still holds.

        Raises:
            StorageError: it cannot be written.
        """
        if self.log is not None:
            self.log.close()


def open_privacy(
    settings: PrivacySettings,
    folder: Path,
    *,
    names: NameFinder | None = None,
    cipher: StoreCipher | None = None,
) -> Privacy:
    """Opens redactor, log and guard of a store.

    Args:
        settings: the section `privacy` of the configuration.
        folder: of these things, inside the store; made if there is none.
        names: finds names of people.
        cipher: of the store, if it is encrypted.

    Raises:
        ConfigurationError: a setting cannot be used, or a key is missing.
        IntegrityError: the vault is damaged, or its key is another.
        StorageError: the folder cannot be written.
    """
    key = load_store_key(folder, cipher)
    log = None
    if settings.access_log != "off":
        log_settings = LogSettings(
            sync=settings.access_log == "each",
            max_bytes=settings.access_log_bytes,
            keep_files=settings.access_log_files,
        )
        log = AccessLog(folder / "access", key, log_settings)
    guard = Guard.from_lines(settings.roles, log)
    return Privacy(_redactor(settings, folder, names), log, guard, key, settings.principal or _user())


def _redactor(settings: PrivacySettings, folder: Path, names: NameFinder | None) -> Redactor | None:
    if (not settings.redact or settings.redact == (NONE,)) and names is None:
        return None
    vault = None
    if settings.redact_mode == "pseudonym":
        place = Path(settings.vault).expanduser() if settings.vault else folder / "vault"
        vault = Vault(place, secret_of(settings.vault_key))
    return Redactor(settings.redact or (NONE,), settings.redact_mode, vault=vault, names=names)


def secret_of(
    where: str,
    setting: str = "privacy.vault_key",
    what: str = "pseudonyms need a key for their vault",
) -> Secret:
    """A key or passphrase from the place a setting names.

    Args:
        where: `file:PATH` of a key, `passphrase:PATH` of a passphrase, `keyring:NAME`; empty is the key in
            ARROWMIND_KEY.
        setting: the one that names it, for messages.
        what: needs the secret, for messages.

    Raises:
        ConfigurationError: there is none, or others may read it.
    """
    kind, _, place = where.partition(":")
    if kind == "file" and place:
        return key_from_file(os.path.expanduser(place))  # noqa: PTH111
    if kind == "passphrase" and place:
        return passphrase_from_file(os.path.expanduser(place))  # noqa: PTH111
    if kind == "keyring" and place:
        return key_from_keyring(place)
    if where:
        raise ConfigurationError(
            f"{setting} = {where!r}: write file:PATH, passphrase:PATH or keyring:NAME, or set {KEY_VARIABLE}"
        )
    secret = key_from_environment()
    if secret is None:
        raise ConfigurationError(
            f"{what}: set {KEY_VARIABLE}, or {setting} to file:PATH, passphrase:PATH or keyring:NAME"
        )
    return secret


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
