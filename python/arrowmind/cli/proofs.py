"""Commands of the group `memory` that check what a store testified to: its access log, and receipts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.failure import FAILED
from arrowmind.cli.render import write
from arrowmind.cli.session import Session  # noqa: TC001  typer reads the annotations
from arrowmind.cli.stores import is_store
from arrowmind.errors import MemoryStoreError

__all__ = ["log", "receipt"]

_BUSY_SECONDS = 10.0
Store = Annotated[Path | None, typer.Option("--store", help="Folder of the store.")]


def log(
    session: Session,
    store: Store = None,
    receipts: Annotated[
        list[Path] | None,
        typer.Option("--receipt", help="A receipt whose entry must be in the log; may be repeated."),
    ] = None,
) -> None:
    """Check that no entry of the access log was changed, removed or added."""
    from arrowmind.privacy import read_receipt, verify_log  # noqa: PLC0415  not needed by other commands

    folder = _folder(session, store) / "privacy" / "access"
    report = verify_log(folder, [read_receipt(path).log for path in receipts or ()])

    def text() -> None:
        for problem in report.problems:
            write(f"bad: {problem}")
        if report.torn_bytes:
            write(f"an unfinished entry of {report.torn_bytes} bytes at the end: a writer was killed")
        state = "unchanged" if report.ok else "CHANGED"
        write(f"{state} ({report.entries} entries from {report.first} on, {report.files} files)")
        write(f"head: {report.head.number} {report.head.hash}")

    session.show({**asdict(report), "ok": report.ok}, text)
    if not report.ok:
        raise typer.Exit(FAILED)


def receipt(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `forget --receipt` wrote.")],
    store: Store = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option("--text", help="A file with a text that was forgotten; may be repeated."),
    ] = None,
) -> None:
    """Check a receipt: its signature, its place in the log, and that a text is nowhere in the store."""
    from arrowmind.memory.unlocking import unlock  # noqa: PLC0415  as above
    from arrowmind.privacy import load_store_key, read_receipt, verify_receipt  # noqa: PLC0415
    from arrowmind.privacy.store_key import store_key_path  # noqa: PLC0415

    folder = _folder(session, store)
    privacy = folder / "privacy"
    cipher = unlock(folder, None, session.config.privacy.store_key, _BUSY_SECONDS).cipher
    if not store_key_path(privacy, cipher).exists():
        raise MemoryStoreError(f"{folder}: has no key, so it has signed no receipt; name the store of it")
    has_log = (privacy / "access").is_dir()
    found = verify_receipt(
        read_receipt(path),
        folder,
        [text.read_text(encoding="utf-8").rstrip("\n") for text in texts or ()],
        key=load_store_key(privacy, cipher),
        log_folder=privacy / "access" if has_log else None,
        cipher=cipher,
    )
    names = [str(text) for text in texts or ()]

    def text() -> None:
        write("signed by this store" if found.signed else "NOT SIGNED by this store, or changed since")
        write(_LOGGED[found.logged])
        for index in found.unknown:
            write(f"bad: the receipt does not concern {names[index]}")
        for place in found.places:
            write(f"bad: {names[place.needle]} is in {place.file} at {place.offset}")
        for index in found.short:
            write(f"too short to be looked for: {names[index]}")
        write("the receipt holds" if found.ok else "the receipt does NOT hold")

    session.show({**asdict(found), "ok": found.ok}, text)
    if not found.ok:
        raise typer.Exit(FAILED)


_LOGGED = {
    None: "the store keeps no access log",
    True: "the access log has its entry, and is unchanged",
    False: "bad: the access log LACKS its entry, or was changed",
}


def _folder(session: Session, store: Path | None) -> Path:
    folder = store if store is not None else Path(session.config.memory.path).expanduser()
    if not is_store(folder):
        raise MemoryStoreError(f"{folder}: holds no store; name one with --store")
    return folder
