"""Look after a memory store: figures, checks, copies, and what happens to it over time."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from arrowmind.cli import proofs, store_keys
from arrowmind.cli.commands import stats as stats_command
from arrowmind.cli.failure import FAILED
from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import Models, open_store
from arrowmind.faces import MemoryDesk

__all__ = ["commands"]

Store = Annotated[Path | None, typer.Option("--store", help="Folder of the store.")]
Target = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is not there yet.")]


def compact(
    session: Session,
    store: Store = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Model folder; leaves what it makes again out of cold files."),
    ] = None,
) -> None:
    """Remove every byte of what was forgotten or has expired, and merge small files."""
    from arrowmind.cli.engines import open_engine  # noqa: PLC0415  only with --model

    engine = open_engine(session, model) if model is not None else None
    with open_store(session, store, engine) as opened:
        report = opened.compact()
    before, after = bytes_text(report.bytes_before), bytes_text(report.bytes_after)
    session.show(
        asdict(report),
        lambda: write(f"removed the bytes of {report.removed} memories: {before} before, {after} after"),
    )


def verify(session: Session, store: Store = None) -> None:
    """Read everything and check it."""
    with open_store(session, store) as opened:
        report = opened.verify()

    def text() -> None:
        for problem in report.problems:
            write(f"bad: {problem}")
        state = "undamaged" if report.ok else "DAMAGED"
        write(f"{state} ({report.records} memories, {report.segments} segments)")

    session.show({**asdict(report), "ok": report.ok}, text)
    if not report.ok:
        raise typer.Exit(FAILED)


def backup(session: Session, target: Target, store: Store = None) -> None:
    """Copy the store while it is in use."""
    with open_store(session, store) as opened, session.progress() as progress:
        size = opened.backup(target, progress)
    _tell(session, {"path": str(target), "bytes": size}, f"copied {bytes_text(size)} to {target}")


def export(session: Session, target: Target, store: Store = None) -> None:
    """Write all memories as Parquet files and blobs."""
    with open_store(session, store) as opened, session.progress() as progress:
        found = opened.export(target, progress)
    text = f"exported {found.memories} memories and {found.blobs} images and sounds to {target}"
    _tell(session, {"path": str(target), **asdict(found)}, text)


def import_(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `export` wrote.")],
    store: Annotated[Path | None, typer.Option("--store", help="Store; it is made if need be.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model folder, to make vectors of another encoder again.")
    ] = None,
) -> None:
    """Take in the memories of an export, under new ids."""
    from arrowmind.cli.engines import open_engine  # noqa: PLC0415  only with --model

    engine = open_engine(session, model) if model is not None else None
    with open_store(session, store, engine, create=True) as opened, session.progress() as progress:
        count = opened.import_from(source, progress)
        name = opened.stats().path
    _tell(session, {"store": name, "count": count}, f"{count} memories came to {name}")


def _tell(session: Session, data: dict[str, Any], text: str) -> None:
    session.show(data, lambda: write(text))


def browse(
    session: Session,
    store: Store = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model folder the store was made with.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0: a free one.")] = 0,
    words_only: Annotated[bool, typer.Option("--words-only", help="Leave meaning out: no model.")] = False,
) -> None:
    """Look through memories, pictures and links on a page in the browser; nothing can be changed there."""
    from arrowmind.server import browse as serve_page  # noqa: PLC0415  an extra

    def tell(address: str) -> None:
        session.show({"address": address}, lambda: write(f"memories are shown at {address} until Ctrl-C"))
        sys.stdout.flush()

    with open_store(session, store, models=Models(model, words_only=words_only), purpose="browse") as opened:
        serve_page(MemoryDesk(opened, read_only=True), session.config.server, port, tell)


commands = {
    "stats": stats_command.run,
    "compact": compact,
    "verify": verify,
    "backup": backup,
    "export": export,
    "import": import_,
    "browse": browse,
    "encrypt": store_keys.encrypt,
    "decrypt": store_keys.decrypt,
    "log": proofs.log,
    "receipt": proofs.receipt,
}
