"""Take private data out of a text: cards, bank accounts, keys and secrets, addresses and numbers of people.

The text is that of a file, or of standard input; the result goes to standard output. What no option says is
taken from the section privacy of the settings.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.failure import FAILED, complain
from arrowmind.cli.render import printable
from arrowmind.cli.secrets import KeyFile, Keyring, PassphraseFile, find_secret
from arrowmind.cli.session import Session
from arrowmind.errors import ConfigurationError, InvalidArgumentError
from arrowmind.privacy.redactor import Redaction, Redactor, reveal

if TYPE_CHECKING:
    from arrowmind.privacy.vault import Vault
    from arrowmind.weights.encryption.secret import Secret

__all__ = ["run"]

_MAX_BYTES = 64 << 20


def run(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Text to read; - or none is standard input.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="What to look for, or all; may be repeated. Settings: privacy.redact."),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="mask, pseudonym or remove. Settings: privacy.redact_mode."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Print where something is, not the text; exit with 1 if anything.")
    ] = False,
    reveal_: Annotated[
        bool, typer.Option("--reveal", help="The other way: put back what pseudonyms stand for.")
    ] = False,
    vault: Annotated[
        Path | None,
        typer.Option("--vault", metavar="FOLDER", help="Where pseudonyms are kept. Settings: privacy.vault."),
    ] = None,
    namespace: Annotated[str, typer.Option("--namespace", help="Whose pseudonyms.")] = "",
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    keyring: Keyring = None,
) -> None:
    settings = session.config.privacy
    mode = mode or settings.redact_mode
    text = _read(file)
    kept = None
    if reveal_ or mode == "pseudonym":
        secret = _secret(settings.vault_key, key_file, passphrase_file, keyring)
        kept = _open_vault(vault or settings.vault, secret)
    if reveal_ and kept is not None:
        revealed = reveal(text, kept, namespace)
        session.show({"text": revealed}, lambda: _print(revealed))
        return
    redactor = Redactor(kind or settings.redact, "mask" if check else mode, vault=kept)
    redaction = redactor.redact(text, namespace)
    session.show(_data(redaction), lambda: _tell(file, text, redaction) if check else _print(redaction.text))
    if not check and not session.quiet and redaction.spans:
        counts = ", ".join(f"{count} {name}" for name, count in redaction.counts().items())
        complain(f"taken out: {counts}")
    if check and redaction.spans:
        raise typer.Exit(FAILED)


def _read(file: Path | None) -> str:
    name = "standard input" if file is None or str(file) == "-" else str(file)
    if file is None and sys.stdin.isatty():
        raise InvalidArgumentError("no text was given; name a file, or give it through a pipe")
    try:
        if file is None or str(file) == "-":
            data = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with file.open("rb") as source:
                data = source.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InvalidArgumentError(f"{name} cannot be read ({error.strerror}); name a text file") from error
    if len(data) > _MAX_BYTES:
        raise InvalidArgumentError(f"{name}: longer than {_MAX_BYTES} bytes; cut it into parts")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{name}: not UTF-8 at byte {error.start}; convert the file first"
        ) from error


def _secret(setting: str, key_file: Path | None, passphrase_file: Path | None, keyring: str | None) -> Secret:
    if setting and not (key_file or passphrase_file or keyring):
        from arrowmind.privacy.opening import secret_of  # noqa: PLC0415  imports cryptography

        return secret_of(setting)
    return find_secret(key_file, passphrase_file, keyring)


def _open_vault(folder: Path | str, secret: Secret) -> Vault:
    from arrowmind.privacy.vault import Vault  # noqa: PLC0415  imports cryptography

    if not str(folder):
        raise ConfigurationError("pseudonyms need a folder to be kept in; give --vault or set privacy.vault")
    return Vault(Path(folder).expanduser(), secret)


def _data(redaction: Redaction) -> dict[str, object]:
    spans = [span._asdict() for span in redaction.spans]
    return {"text": redaction.text, "spans": spans, "counts": redaction.counts()}


def _tell(file: Path | None, text: str, redaction: Redaction) -> None:
    for span in redaction.spans:
        line = text.count("\n", 0, span.start) + 1
        column = span.start - text.rfind("\n", 0, span.start)
        print(f"{printable(str(file or '-'))}:{line}:{column}: {span.kind} ({span.confidence:.2f})")


def _print(text: str) -> None:
    """As it is, but for what would steer a terminal."""
    if sys.stdout.isatty():
        text = printable(text)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
