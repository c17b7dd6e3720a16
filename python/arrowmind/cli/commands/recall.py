"""Find memories by meaning and by words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arrowmind.cli.render import write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import open_store
from arrowmind.faces.moments import parse_moment

if TYPE_CHECKING:
    from arrowmind.memory import Hit, TextEncoder

__all__ = ["run"]

_SHOWN_CHARACTERS = 600


def run(
    session: Session,
    query: Annotated[list[str], typer.Argument(metavar="QUERY...", help="What to look for, in any words.")],
    store: Annotated[Path | None, typer.Option("--store", help="Store to look in.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model folder the store was made with.")
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", help="Memories at most.")] = None,
    category: Annotated[str | None, typer.Option("--category", help="Only of this category.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only from this moment on (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only before this moment.")] = None,
    words_only: Annotated[bool, typer.Option("--words-only", help="Leave meaning out: no model.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Print long memories in full.")] = False,
) -> None:
    text = " ".join(query)
    number = session.config.memory.top_k if top_k is None else top_k
    begin, end = parse_moment(since, "--since"), parse_moment(until, "--until")
    engine = None if words_only else _engine(session, model)
    with open_store(session, store, engine, words_only=words_only) as opened:
        hits = opened.recall(text, number, category=category, since=begin, until=end)
    session.show(
        {"query": text, "hits": [hit.to_dict() for hit in hits]},
        lambda: _print(hits, full=full),
    )


def _engine(session: Session, model: str | None) -> TextEncoder:
    from arrowmind.cli.engines import open_engine  # noqa: PLC0415  not needed for --words-only

    return open_engine(session, model)


def _print(hits: list[Hit], *, full: bool) -> None:
    if not hits:
        write("nothing found")
    for place, hit in enumerate(hits, 1):
        text = (
            hit.text if full or len(hit.text) <= _SHOWN_CHARACTERS else f"{hit.text[:_SHOWN_CHARACTERS]} ..."
        )
        label = f", {hit.record.category}" if hit.record.category else ""
        write(f"{place}. [{hit.score:.3f}, #{hit.id}, {hit.record.timestamp:%Y-%m-%d}{label}]")
        write("\n".join(f"   {line}" for line in text.splitlines()))
