"""Store texts in the memory, verbatim.

Texts are given as words, as lines of a file, or as lines on standard input. With --jsonl each line is a JSON
object with `text` and, as wished, `category`, `metadata`, `timestamp` and `expires`.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind.cli.engines import open_engine
from arrowmind.cli.failure import complain
from arrowmind.cli.render import write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import open_store
from arrowmind.cli.texts import count_lines, read_json_lines, read_lines
from arrowmind.errors import InvalidArgumentError, OptimizationError
from arrowmind.faces.moments import parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arrowmind.memory import MemoryStore
    from arrowmind.observe import Progress

__all__ = ["run"]

_PART = 1024  # texts handed to the store at once
_KEYS = ("text", "category", "metadata", "timestamp", "expires")


def run(
    session: Session,
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts.")] = None,
    store: Annotated[Path | None, typer.Option("--store", help="Store; it is made if need be.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model folder.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Read texts from this file, one per line; - is stdin.")
    ] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Each line is a JSON object.")] = False,
    category: Annotated[str | None, typer.Option("--category", help="A label to filter by.")] = None,
) -> None:
    rows = _rows(texts or [], file, jsonl=jsonl)
    count = len(texts) if texts else count_lines(file)
    engine = open_engine(session, model)
    started = time.perf_counter()
    with open_store(session, store, engine, create=True) as opened, session.progress() as progress:
        ids = _remember(opened, rows, count, category, progress)
        name = opened.stats().path
    seconds = time.perf_counter() - started
    session.show(
        {"store": name, "count": len(ids), "ids": ids, "seconds": seconds},
        lambda: write(f"remembered {len(ids)} texts in {name} ({seconds:.2f} s)"),
    )


def _rows(texts: list[str], file: Path | None, *, jsonl: bool) -> Iterator[dict[str, Any]]:
    if texts and (file is not None or jsonl):
        raise InvalidArgumentError(
            "texts were given as words, and a file or --jsonl as well; use one of them"
        )
    if texts:
        return ({"text": text} for text in texts)
    return map(_checked, read_json_lines(file)) if jsonl else ({"text": line} for _, line in read_lines(file))


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(row.keys() - set(_KEYS))
    if unknown:
        raise InvalidArgumentError(
            f"key {unknown[0]!r} of a line is unknown; use {', '.join(_KEYS)}; the rest goes under metadata"
        )
    moments = {key: parse_moment(row.get(key), key) for key in ("timestamp", "expires")}
    return {**row, **moments}


def _remember(
    store: MemoryStore, rows: Iterable[dict[str, Any]], count: int, category: str | None, progress: Progress
) -> list[int]:
    ids: list[int] = []
    rows = iter(rows)

    def advance(done: int, total: int, what: str) -> None:  # noqa: ARG001  the total is that of one part
        progress(before + done, count, what)

    try:
        while part := list(itertools.islice(rows, _PART)):
            before = len(ids)
            columns: dict[str, Any] = {key: [row.get(key) for row in part] for key in _KEYS[2:]}
            categories = [row.get("category", category) for row in part]
            texts = [row["text"] for row in part]
            ids += store.remember_many(texts, category=categories, progress=advance, **columns)
    except OptimizationError:
        if ids:
            complain(f"the first {len(ids)} texts are remembered; go on with the one after them")
        raise
    return ids
