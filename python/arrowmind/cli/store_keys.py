"""Commands of the group `memory` that encrypt a store, and give it back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.secrets import KeyFile, Keyring, PassphraseFile, find_secret
from arrowmind.cli.session import Session  # noqa: TC001  typer reads the annotations
from arrowmind.errors import MemoryStoreError
from arrowmind.memory.storage.encryption import holds_store
from arrowmind.memory.storage.paths import StorePaths

if TYPE_CHECKING:
    from arrowmind.memory.encryption import EncryptionReport

__all__ = ["decrypt", "encrypt"]

Store = Annotated[Path | None, typer.Option("--store", help="Folder of the store.")]
OldKeyFile = Annotated[
    Path | None,
    typer.Option("--old-key-file", metavar="FILE", help="The store is encrypted: file of its key now."),
]
OldPassphraseFile = Annotated[
    Path | None, typer.Option("--old-passphrase-file", metavar="FILE", help="The same of its passphrase.")
]
OldKeyring = Annotated[
    str | None,
    typer.Option("--old-keyring", metavar="NAME", help="The same: name of its key in the keyring."),
]


def encrypt(
    session: Session,
    store: Store = None,
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    keyring: Keyring = None,
    old_key_file: OldKeyFile = None,
    old_passphrase_file: OldPassphraseFile = None,
    old_keyring: OldKeyring = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Of an encrypted store: also encrypt everything under a new key.")
    ] = False,
) -> None:
    """Encrypt every file of the store, or give an encrypted one another key or passphrase."""
    from arrowmind.memory.encryption import encrypt_store, rotate_store  # noqa: PLC0415  with cryptography
    from arrowmind.memory.keeping.encrypting import refuse_encrypted  # noqa: PLC0415

    root = _folder(session, store)
    old = (old_key_file, old_passphrase_file, old_keyring)
    if any(old) or anew:
        former = find_secret(*old, kind=_secret_kind(root))
        secret = find_secret(key_file, passphrase_file, keyring)
        with session.progress() as progress:
            report = rotate_store(root, former, secret, anew=anew, progress=progress)
    else:
        refuse_encrypted(StorePaths(root))
        secret = find_secret(key_file, passphrase_file, keyring)
        with session.progress() as progress:
            report = encrypt_store(root, secret, progress=progress)
    _tell(session, root, report, "is encrypted")


def decrypt(
    session: Session,
    store: Store = None,
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    keyring: Keyring = None,
) -> None:
    """Give back a store that is not encrypted, with the same memories."""
    from arrowmind.memory.encryption import decrypt_store  # noqa: PLC0415  with cryptography

    root = _folder(session, store)
    secret = find_secret(key_file, passphrase_file, keyring, kind=_secret_kind(root))
    with session.progress() as progress:
        report = decrypt_store(root, secret, progress=progress)
    _tell(session, root, report, "is not encrypted any more")


def _secret_kind(root: Path) -> int:
    from arrowmind.privacy.sealed.key_file import secret_kind  # noqa: PLC0415  with cryptography

    path = StorePaths(root).key
    if not path.exists():
        raise MemoryStoreError(f"{root}: is not encrypted; `arrowmind memory encrypt` does that")
    return secret_kind(path)


def _folder(session: Session, store: Path | None) -> Path:
    folder = store if store is not None else Path(session.config.memory.path).expanduser()
    if not holds_store(folder):
        raise MemoryStoreError(f"{folder}: holds no store; name one with --store")
    return folder


def _tell(session: Session, root: Path, report: EncryptionReport, state: str) -> None:
    text = f"{root} {state} ({report.files} files written anew, {bytes_text(report.bytes)})"
    session.show({"store": str(root), **asdict(report)}, lambda: write(text))
