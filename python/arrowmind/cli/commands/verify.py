"""Check that a model folder, a weight file or a memory store is undamaged. Every byte is read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from arrowmind.cli.failure import FAILED
from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import is_store, open_store
from arrowmind.weights import verify_model

__all__ = ["run"]


def run(
    session: Session,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Model folder, weights.arrow or memory store.")
    ],
) -> None:
    report = _store_report(session, path) if is_store(path) else _model_report(session, path)
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
