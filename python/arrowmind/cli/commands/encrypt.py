"""Encrypt a model folder or a file with AES-256-GCM, or give an encrypted one another key or passphrase."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.secrets import KeyFile, Keyring, PassphraseFile, find_secret
from arrowmind.cli.session import Session
from arrowmind.weights import encrypt_model, rotate_model
from arrowmind.weights.encryption.model import secret_kind

__all__ = ["run"]

OldKeyFile = Annotated[
    Path | None,
    typer.Option("--old-key-file", metavar="FILE", help="PATH is encrypted: file of its key now."),
]
OldPassphraseFile = Annotated[
    Path | None, typer.Option("--old-passphrase-file", metavar="FILE", help="The same of its passphrase.")
]
OldKeyring = Annotated[
    str | None,
    typer.Option("--old-keyring", metavar="NAME", help="The same: name of its key in the keyring."),
]


def run(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Model folder or file; it is left as it is.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder or file to make.")],
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    keyring: Keyring = None,
    old_key_file: OldKeyFile = None,
    old_passphrase_file: OldPassphraseFile = None,
    old_keyring: OldKeyring = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
) -> None:
    old = (old_key_file, old_passphrase_file, old_keyring)
    secret = find_secret(key_file, passphrase_file, keyring)
    with session.progress() as progress:
        if any(old):
            former = find_secret(*old, kind=secret_kind(path))
            report = rotate_model(path, output, former, secret, force=force, progress=progress)
        else:
            report = encrypt_model(path, output, secret, force=force, progress=progress)
    text = f"{report.output}: {report.files} files encrypted ({bytes_text(report.bytes)})"
    session.show(report.to_dict(), lambda: write(text))
