"""Check that a model folder, a weight file or a memory store is undamaged. Every byte is read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from arrowmind.cli.failure import FAILED
from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.secrets import KeyFile, Keyring, PassphraseFile, find_secret
from arrowmind.cli.session import Session
from arrowmind.cli.stores import is_store, open_store
from arrowmind.errors import IntegrityError
from arrowmind.weights import verify_model
from arrowmind.weights.encryption.header import is_encrypted

__all__ = ["run"]


def run(
    session: Session,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Model folder, plain or encrypted, weights.arrow or memory store."
        ),
    ],
    key_file: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    keyring: Keyring = None,
) -> None:
    if is_store(path):
        report = _store_report(session, path)
    elif is_encrypted(path):
        report = _encrypted_report(session, path, (key_file, passphrase_file, keyring))
    else:
        report = _model_report(session, path)
    session.show(report, lambda: _print(report))
    if not report["ok"]:
        raise typer.Exit(FAILED)


def _store_report(session: Session, path: Path) -> dict[str, Any]:
    with open_store(session, path) as store:
        report = store.verify()
    return {"path": str(path), **asdict(report), "ok": report.ok}


def _model_report(session: Session, path: Path) -> dict[str, Any]:
    with session.progress() as progress:
        return verify_model(path, progress).to_dict()


def _encrypted_report(
    session: Session, path: Path, where: tuple[Path | None, Path | None, str | None]
) -> dict[str, Any]:
    from arrowmind.weights.encryption.model import secret_kind  # noqa: PLC0415  (needs `cryptography`)
    from arrowmind.weights.encryption.rotation import verify_encrypted  # noqa: PLC0415

    secret, problems = find_secret(*where, kind=secret_kind(path)), []
    with session.progress() as progress:
        try:
            found = verify_encrypted(path, secret, progress=progress).to_dict()
        except IntegrityError as error:
            found, problems = {}, [str(error)]
    return {
        "path": str(path),
        "files": found.get("files", 0),
        "bytes": found.get("bytes", 0),
        "problems": problems,
        "notes": [],
        "ok": not problems,
    }


def _print(report: dict[str, Any]) -> None:
    for problem in report["problems"]:
        write(f"bad: {problem}")
    for note in report.get("notes", []):
        write(f"note: {note}")
    counts = ", ".join(
        f"{bytes_text(report[name])}" if name == "bytes" else f"{report[name]} {name}"
        for name in ("files", "tensors", "records", "segments", "bytes")
        if name in report
    )
    write(f"{report['path']}: {'undamaged' if report['ok'] else 'DAMAGED'} ({counts})")
