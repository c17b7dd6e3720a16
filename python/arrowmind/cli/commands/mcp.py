"""Put the memory under an agent: a server of the Model Context Protocol over standard input and output.

The agent's program starts it and speaks to it; by hand there is nothing to do. It ends when its input ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from arrowmind.cli.session import Session
from arrowmind.cli.stores import Models, open_store
from arrowmind.faces import MemoryDesk

__all__ = ["run"]


def run(
    session: Session,
    store: Annotated[Path | None, typer.Option("--store", help="Store; it is made if need be.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model folder.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="See and store memories of this one alone.")
    ] = None,
    principal: Annotated[
        str | None,
        typer.Option("--principal", help="Who the agent is, for privacy.roles and the access log."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Recall only: neither store nor forget.")
    ] = False,
    words_only: Annotated[bool, typer.Option("--words-only", help="Leave meaning out: no model.")] = False,
) -> None:
    from arrowmind.mcp import Protocol, serve  # noqa: PLC0415  what is wrong with options is told first

    writing = _taken_output()
    models = Models(model, words_only=words_only)
    who: dict[str, Any] = {"namespace": namespace, "caller": principal, "purpose": "mcp"}
    with open_store(session, store, models=models, create=not read_only, **who) as opened:
        desk = MemoryDesk(opened, origin="agent", read_only=read_only, namespace=namespace)
        serve(Protocol(desk), sys.stdin.buffer, writing, session.config.server.max_body_bytes)


def _taken_output() -> BinaryIO:
    """Standard output for messages alone: whatever else is written there goes to standard error."""
    sys.stdout.flush()
    try:
        taken = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    except (OSError, ValueError):  # within a program that has replaced them
        return sys.stdout.buffer
    return taken
