"""Encrypt a model folder or a file with AES-256-GCM, under a key or a passphrase."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.secrets import KeyFile, Keyring, PassphraseFile, find_secret
from arrowmind.cli.session import Session
from arrowmind.weights import encrypt_model

__all__ = ["run"]


def run(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Model folder or file; it is left as it is.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder or file to make.")],
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    keyring: Keyring = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
) -> None:
    secret = find_secret(key_file, passphrase_file, keyring)
    with session.progress() as progress:
        report = encrypt_model(path, output, secret, force=force, progress=progress)
    text = f"{report.output}: {report.files} files encrypted ({bytes_text(report.bytes)})"
    session.show(report.to_dict(), lambda: write(text))
