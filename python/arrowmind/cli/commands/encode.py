"""Turn texts, images or sounds into vectors.

Texts are given as words, as lines of a file, or as lines on standard input; images and sounds as files, by
options that may be repeated. Without --output the vectors are printed: in full with --json, else their first
values.
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
from arrowmind.errors import InvalidArgumentError

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
    image: Annotated[
        list[str] | None, typer.Option("--image", help="An image instead of texts; may be repeated.")
    ] = None,
    audio: Annotated[
        list[str] | None, typer.Option("--audio", help="A sound instead of texts; may be repeated.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this .npy or .arrow file.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Do not scale vectors to length 1.")] = False,
) -> None:
    if output is not None:
        check_output(output)
    if sum(map(bool, (texts or file, image, audio))) > 1:
        raise InvalidArgumentError("texts, images and sounds were given together; encode one kind at a time")
    given = image or audio or read_texts(texts or [], file)
    engine = open_engine(session, model)
    started, shows = time.perf_counter(), session.shows_progress
    if image:
        vectors = engine.encode_image(given, normalize=not raw, show_progress=shows)
    elif audio:
        vectors = engine.encode_audio(given, normalize=not raw, show_progress=shows)
    else:
        vectors = engine.encode(given, normalize=not raw, show_progress=shows)
    seconds = time.perf_counter() - started
    data = {"model": model, "count": len(given), "dimension": vectors.shape[1], "seconds": seconds}
    if output is not None:
        write_vectors(output, given, vectors, model)
        kind = "images" if image else "sounds" if audio else "texts"
        done = f"{len(given)} {kind}, {vectors.shape[1]} values each, in {seconds:.2f} s: {output}"
        session.show({**data, "output": str(output)}, lambda: write(done))
    else:
        session.show({**data, "embeddings": vectors.tolist()}, lambda: _print(given, vectors))


def _print(names: list[str], vectors: NDArray[np.float32]) -> None:
    for name, vector in zip(names, vectors, strict=True):
        start = ", ".join(f"{value:+.4f}" for value in vector[:4])
        write(f"[{start}, ...]  {name[:80]}")
