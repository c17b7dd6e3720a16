"""Measure how well a language model foretells a text.

Perplexity is e to the mean negative log likelihood of a token. Every token but the first is foretold once,
from the tokens before it in its window.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from arrowmind.cli.engines import open_engine
from arrowmind.cli.render import write
from arrowmind.cli.session import Session

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder.")],
    text: Annotated[Path, typer.Option("--text", help="File with the text, UTF-8.")],
    window: Annotated[
        int | None, typer.Option("--window", metavar="N", help="Tokens read at a time. Default: up to 512.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option("--stride", metavar="N", help="Tokens foretold per window. Default: half of it."),
    ] = None,
    ram: Annotated[str, typer.Option("--ram", help="Most memory of the process, for instance 4GiB.")] = "",
    vram: Annotated[
        str,
        typer.Option("--vram", help="Most memory of the device, for instance 4GiB; the rest is the CPU's."),
    ] = "",
) -> None:
    engine = open_engine(session, model, ram=ram, vram=vram)
    started = time.perf_counter()
    found = engine.perplexity(text, window, stride, show_progress=session.shows_progress)
    seconds = time.perf_counter() - started
    line = (
        f"perplexity {found.perplexity:.4f}, loss {found.loss:.5f} nats per token, of {found.tokens} tokens "
        f"(window {found.window}, stride {found.stride}) in {seconds:.1f} s"
    )
    session.show({"model": model, **asdict(found), "seconds": seconds}, lambda: write(line))
