"""The key or passphrase of `encrypt` and `decrypt`: from options, the environment, or asked for.

Never a word of the command line, which other users of the machine can read.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from arrowmind.errors import ConfigurationError, InvalidArgumentError
from arrowmind.weights.encryption.header import KEY, PASSPHRASE
from arrowmind.weights.encryption.secret import (
    Secret,
    key_from_environment,
    key_from_file,
    key_from_keyring,
    passphrase_from_file,
    passphrase_from_text,
)

__all__ = ["KeyFile", "Keyring", "PassphraseFile", "find_secret"]

KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", help="File of mode 600 with a key in hex or base64."),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="File of mode 600 with a passphrase in one line."),
]
Keyring = Annotated[
    str | None, typer.Option("--keyring", metavar="NAME", help="Name of a key in the system's keyring.")
]


def find_secret(
    key_file: Path | None, passphrase_file: Path | None, keyring: str | None, *, kind: int | None = None
) -> Secret:
    """The secret an option names, else the key in ARROWMIND_KEY, else a passphrase that is asked for.

    Args:
        key_file: value of `--key-file`.
        passphrase_file: value of `--passphrase-file`.
        keyring: value of `--keyring`.
        kind: what opens the input; None when something is encrypted, and a passphrase is asked for twice.

    Raises:
        InvalidArgumentError: more than one option, or the passphrases differ.
        ConfigurationError: there is no secret.
    """
    if sum(option is not None for option in (key_file, passphrase_file, keyring)) > 1:
        raise InvalidArgumentError("give one of --key-file, --passphrase-file and --keyring")
    if key_file is not None:
        return key_from_file(key_file)
    if passphrase_file is not None:
        return passphrase_from_file(passphrase_file)
    if keyring is not None:
        return key_from_keyring(keyring)
    if kind != PASSPHRASE and (secret := key_from_environment()) is not None:
        return secret
    if kind == KEY:
        raise ConfigurationError(
            "it was encrypted with a key: set ARROWMIND_KEY or give --key-file or --keyring"
        )
    return _ask(twice=kind is None)


def _ask(*, twice: bool) -> Secret:
    if not _is_watched():
        raise ConfigurationError(
            "no key, and nobody to ask for a passphrase: set ARROWMIND_KEY or give --key-file, "
            "--passphrase-file or --keyring"
        )
    try:
        text = getpass.getpass("Passphrase: ")
        if twice and getpass.getpass("The same again: ") != text:
            raise InvalidArgumentError("the two passphrases differ; nothing was done, try again")
    except EOFError as error:
        raise ConfigurationError("no passphrase was typed; try again") from error
    return passphrase_from_text(text)


def _is_watched() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
