"""Store texts, images and sounds in the memory, verbatim.

A word that names a file or a folder stands for what is in it: text, in passages of some hundred words, an
image or a sound. Any other word is a text itself, and - is standard input. With --file, or without words,
each line is a text; with --jsonl each line is a JSON object with `text` and, as wished, `category`,
`metadata`, `timestamp` and `expires`.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind.cli.contents import Source, rows_of, sources_of
from arrowmind.cli.failure import complain
from arrowmind.cli.media_options import MediaModels
from arrowmind.cli.render import counted, write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import Models, open_store
from arrowmind.cli.texts import count_lines, read_json_lines, read_lines
from arrowmind.errors import InvalidArgumentError
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
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT|FILE|FOLDER]...", help="Texts, or files and folders of them; - is stdin."
        ),
    ] = None,
    store: Annotated[Path | None, typer.Option("--store", help="Store; it is made if need be.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model folder.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Read texts from this file, one per line; - is stdin.")
    ] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Each line is a JSON object.")] = False,
    category: Annotated[str | None, typer.Option("--category", help="A label to filter by.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", help="Where the memories belong.")] = None,
    as_text: Annotated[
        bool, typer.Option("--text", help="Every word is a text, also one that names a file.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Take what is below the folders of a folder, too.")
    ] = False,
    *,
    media: MediaModels,
) -> None:
    if texts and (file is not None or jsonl):
        raise InvalidArgumentError(
            "texts were given as words, and a file or --jsonl as well; use one of them"
        )
    sources = _sources(texts or [], as_text=as_text, recursive=recursive)
    models = Models(model, media.image_model, media.audio_model)
    started = time.perf_counter()
    with (
        open_store(session, store, models=models, create=True, namespace=namespace) as opened,
        session.progress() as progress,
    ):
        if texts:
            ids, skipped = _remember_sources(opened, sources, category, progress)
        else:
            rows, skipped = _rows(file, jsonl=jsonl), []
            ids = _remember(opened, rows, count_lines(file), category, progress)
        name = opened.stats().path
    seconds = time.perf_counter() - started
    what = ("memory", "memories") if any(not source.is_text for source in sources) else ("text", "texts")
    session.show(
        {"store": name, "count": len(ids), "ids": ids, "skipped": skipped, "seconds": seconds},
        lambda: write(f"remembered {counted(len(ids), *what)} in {name} ({seconds:.2f} s)"),
    )
    if sources and len(skipped) == len(sources):
        raise typer.Exit(1)


def _sources(words: list[str], *, as_text: bool, recursive: bool) -> list[Source]:
    """What the words of the command stand for."""
    if not all(map(str.strip, words)):
        raise InvalidArgumentError("a text is empty; give at least one character that is not a blank")
    if as_text or not words:
        return [Source(text) for text in words]
    return sources_of(words, recursive=recursive, tell=complain)


def _remember_sources(
    store: MemoryStore, sources: list[Source], category: str | None, progress: Progress
) -> tuple[list[int], list[str]]:
    """Ids of what was remembered, and names of what could not be."""
    if all(source.is_text for source in sources):
        rows = ({"text": source.name} for source in sources)
        return _remember(store, rows, len(sources), category, progress), []
    ids: list[int] = []
    skipped: list[str] = []
    inside = 0

    def advance(done: int, total: int, what: str) -> None:  # noqa: ARG001  of one source
        nonlocal inside
        inside = done

    for place, source in enumerate(sources):
        progress(place, len(sources), "files")
        inside = 0
        try:
            found = list(rows_of(source))
            texts, metadata = [row["text"] for row in found], [row.get("metadata") for row in found]
            things: dict[str, Any] = {kind: found[0].get(kind) for kind in ("image", "audio")}
            about: dict[str, Any] = {"category": category, "metadata": metadata, **things}
            ids += store.remember_many(texts, progress=advance, **about)
        except InvalidArgumentError as error:
            if source.is_text:
                raise
            complain(f"skipped {source.name}: {error}")
            skipped.append(source.name)
        except BaseException:
            some = f", and the first {counted(inside, 'passage', 'passages')} of it" if inside else ""
            before = counted(len(ids), "memory", "memories")
            complain(f"remembered {before}, of all before {source.name}{some}; go on from there")
            raise
    progress(len(sources), len(sources), "files")
    return ids, skipped


def _rows(file: Path | None, *, jsonl: bool) -> Iterator[dict[str, Any]]:
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

    remembered = 0

    def advance(done: int, total: int, what: str) -> None:  # noqa: ARG001  the total is that of one part
        nonlocal remembered
        remembered = len(ids) + done
        progress(remembered, count, what)

    try:
        while part := list(itertools.islice(rows, _PART)):
            columns: dict[str, Any] = {key: [row.get(key) for row in part] for key in _KEYS[2:]}
            categories = [row.get("category", category) for row in part]
            texts = [row["text"] for row in part]
            ids += store.remember_many(texts, category=categories, progress=advance, **columns)
    except BaseException:
        if remembered:
            first = counted(remembered, "text is", "texts are")
            complain(f"the first {first} remembered; go on with the one after")
        raise
    return ids
