"""Turn texts into vectors.

Texts are given as words, as lines of a file, or as lines on standard input. Without --output the vectors are
printed: in full with --json, else their first values.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.engines import open_engine
from arrowmind.cli.render import write
from arrowmind.cli.session import Session
from arrowmind.cli.texts import read_texts
from arrowmind.cli.vectors import check_output, write_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["run"]


def run(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder.")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Read texts from this file, one per line; - is stdin.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this .npy or .arrow file.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Do not scale vectors to length 1.")] = False,
) -> None:
    if output is not None:
        check_output(output)
    given = read_texts(texts or [], file)
    engine = open_engine(session, model)
    started = time.perf_counter()
    vectors = engine.encode(given, normalize=not raw, show_progress=session.shows_progress)
    seconds = time.perf_counter() - started
    data = {"model": model, "count": len(given), "dimension": engine.dimension, "seconds": seconds}
    if output is not None:
        write_vectors(output, given, vectors, model)
        done = f"{len(given)} texts, {engine.dimension} values each, in {seconds:.2f} s: {output}"
        session.show({**data, "output": str(output)}, lambda: write(done))
    else:
        session.show({**data, "embeddings": vectors.tolist()}, lambda: _print(given, vectors))


def _print(texts: list[str], vectors: NDArray[np.float32]) -> None:
    for text, vector in zip(texts, vectors, strict=True):
        start = ", ".join(f"{value:+.4f}" for value in vector[:4])
        write(f"[{start}, ...]  {text[:80]}")
