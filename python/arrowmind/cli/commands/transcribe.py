"""Write down what is said in sounds."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from arrowmind.cli.engines import open_engine
from arrowmind.cli.render import write
from arrowmind.cli.session import Session

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files of sound.")],
    language: Annotated[
        str | None, typer.Option("--language", help="Such as en. Default: the model decides.")
    ] = None,
    task: Annotated[
        str, typer.Option("--task", metavar="transcribe|translate", help="Translate into English, or not.")
    ] = "transcribe",
) -> None:
    engine = open_engine(session, model)
    found: list[dict[str, Any]] = []
    for name in files:
        started = time.perf_counter()
        text = engine.transcribe(name, language=language, task=task)
        found.append({"file": name, "text": text, "seconds": time.perf_counter() - started})
    session.show({"model": model, "transcripts": found}, lambda: _print(found))


def _print(found: list[dict[str, Any]]) -> None:
    for one in found:
        write(one["text"] if len(found) == 1 else f"{one['file']}: {one['text']}")
