"""Find memories by meaning and by words, by an image, or by a sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind.cli.media_options import MediaModels
from arrowmind.cli.render import bytes_text, write
from arrowmind.cli.session import Session
from arrowmind.cli.stores import Models, open_store
from arrowmind.errors import InvalidArgumentError
from arrowmind.faces.moments import parse_moment

if TYPE_CHECKING:
    from arrowmind.memory import Hit, Record

__all__ = ["run"]

_SHOWN_CHARACTERS = 600


def run(
    session: Session,
    query: Annotated[
        list[str] | None, typer.Argument(metavar="[QUERY]...", help="What to look for, in any words.")
    ] = None,
    store: Annotated[Path | None, typer.Option("--store", help="Store to look in.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model folder the store was made with.")
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", help="Memories at most.")] = None,
    category: Annotated[str | None, typer.Option("--category", help="Only of this category.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", help="Only of this namespace.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only from this moment on (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only before this moment.")] = None,
    words_only: Annotated[bool, typer.Option("--words-only", help="Leave meaning out: no model.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Print long memories in full.")] = False,
    image: Annotated[
        Path | None,
        typer.Option("--image", help="Find what goes with this image.", exists=True, dir_okay=False),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option("--audio", help="Find what goes with this sound.", exists=True, dir_okay=False),
    ] = None,
    *,
    media: MediaModels,
) -> None:
    if not query and image is None and audio is None:
        raise InvalidArgumentError("nothing to look for was given; give words, --image or --audio")
    if words_only and (image is not None or audio is not None):
        raise InvalidArgumentError("--words-only takes no --image and no --audio: they are found by models")
    text = " ".join(query or [])
    number = session.config.memory.top_k if top_k is None else top_k
    begin, end = parse_moment(since, "--since"), parse_moment(until, "--until")
    models = Models(model, media.image_model, media.audio_model, words_only=words_only)
    with open_store(session, store, models=models, namespace=namespace) as opened:
        filters: dict[str, Any] = {"category": category, "since": begin, "until": end}
        hits = opened.recall(text, number, image=image, audio=audio, **filters)
    shown = {"query": text, "image": str(image or "") or None, "audio": str(audio or "") or None}
    session.show(
        {
            **{name: value for name, value in shown.items() if value is not None},
            "hits": [hit.to_dict() for hit in hits],
        },
        lambda: _print(hits, full=full),
    )


def _print(hits: list[Hit], *, full: bool) -> None:
    if not hits:
        write("nothing found")
    for place, hit in enumerate(hits, 1):
        text = (
            hit.text if full or len(hit.text) <= _SHOWN_CHARACTERS else f"{hit.text[:_SHOWN_CHARACTERS]} ..."
        )
        label = f", {hit.record.category}" if hit.record.category else ""
        write(f"{place}. [{hit.score:.3f}, #{hit.id}, {hit.record.timestamp:%Y-%m-%d}{label}]")
        write("\n".join(f"   {line}" for line in [*text.splitlines(), *_attached(hit.record)]))


def _attached(record: Record) -> list[str]:
    """What belongs to a memory beside its text, and where it came from."""
    things = [f"[{one.media_type}, {bytes_text(one.size)}]" for one in record.attachments]
    return [*things, *([f"({record.metadata['file']})"] if "file" in record.metadata else [])]
