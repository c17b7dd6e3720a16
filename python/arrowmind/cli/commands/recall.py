"""Find memories by meaning and by words, by an image, or by a sound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arrowmind.cli.failure import complain
from arrowmind.cli.groups import OptionGroup
from arrowmind.cli.media_options import MediaModels
from arrowmind.cli.recalled import print_episodes, print_hits
from arrowmind.cli.session import Session
from arrowmind.cli.stores import Models, open_store
from arrowmind.errors import InvalidArgumentError
from arrowmind.faces.moments import parse_moment
from arrowmind.memory.times import to_microseconds

if TYPE_CHECKING:
    from arrowmind.memory import Episode, MemoryStore, StoreStats

__all__ = ["run"]

_HITS = 3
_SHOWN_NAMES = 12


@dataclass(frozen=True)
class EpisodeOptions(OptionGroup):
    """How memories are put together."""

    title = "Episodes"

    episodes: Annotated[
        bool, typer.Option("--episodes", help="Find whole episodes: what was told within an hour.")
    ] = False
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="FIELD",
            help="Episodes share category, namespace, origin, or metadata.NAME instead.",
        ),
    ] = None
    hits: Annotated[
        int | None, typer.Option("--hits", help="Best memories shown of each episode; 3 if not given.")
    ] = None

    def check(self) -> None:
        """Refuses what goes with `--episodes` alone."""
        for name, value in (("--by", self.by), ("--hits", self.hits)):
            if value is not None and not self.episodes:
                raise InvalidArgumentError(f"{name} tells of episodes; add --episodes")

    def found(self, store: MemoryStore, text: str, top_k: int, **filters: Any) -> list[Episode]:
        """Those of a store."""
        hits = _HITS if self.hits is None else self.hits
        return store.recall_episodes(text, top_k, by=self.by, hits=hits, **filters)


@dataclass(frozen=True)
class _Query:
    """What to look for."""

    text: str
    image: Path | None
    audio: Path | None

    def check(self, *, words_only: bool, episodes: bool) -> None:
        has_media = self.image is not None or self.audio is not None
        if not self.text.strip() and not has_media:
            raise InvalidArgumentError("nothing to look for was given; give words, --image or --audio")
        if words_only and has_media:
            raise InvalidArgumentError(
                "--words-only takes no --image and no --audio: they are found by models"
            )
        if episodes and has_media:
            raise InvalidArgumentError("--episodes takes no --image and no --audio: they are found by words")

    def to_dict(self) -> dict[str, Any]:
        """For a result; what was not given is left out."""
        given = {"image": self.image, "audio": self.audio}
        return {"query": self.text, **{kind: str(path) for kind, path in given.items() if path is not None}}


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
    explain: Annotated[bool, typer.Option("--explain", help="Tell what scores are the sum of.")] = False,
    image: Annotated[
        Path | None,
        typer.Option("--image", help="Find what goes with this image.", exists=True, dir_okay=False),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option("--audio", help="Find what goes with this sound.", exists=True, dir_okay=False),
    ] = None,
    *,
    group: EpisodeOptions,
    media: MediaModels,
) -> None:
    asked = _Query(" ".join(query or []), image, audio)
    asked.check(words_only=words_only, episodes=group.episodes)
    group.check()
    number = session.config.memory.top_k if top_k is None else top_k
    filters: dict[str, Any] = {"category": category, **_period(since, until)}
    models = Models(model, media.image_model, media.audio_model, words_only=words_only)
    models.check_senses(session, image=image is not None, audio=audio is not None)
    data = asked.to_dict()
    with open_store(session, store, models=models, namespace=namespace) as opened:
        if group.episodes:
            episodes = group.found(opened, asked.text, number, **filters)
            data |= {"by": group.by, "episodes": [episode.to_dict() for episode in episodes]}
            write_all = partial(print_episodes, episodes)
        else:
            hits = opened.recall(asked.text, number, image=image, audio=audio, **filters)
            data["hits"] = [hit.to_dict() for hit in hits]
            write_all = partial(print_hits, hits)
        session.show(data, lambda: write_all(full=full, explain=explain))
        # Names of others are no business of somebody whom rules keep from them.
        if not (data.get("hits") or data.get("episodes") or session.config.privacy.roles):
            _tell_unknown(opened.stats(), namespace, category)


def _period(since: str | None, until: str | None) -> dict[str, Any]:
    begin, end = parse_moment(since, "--since"), parse_moment(until, "--until")
    if begin is not None and end is not None:
        first, last = to_microseconds(begin, "--since"), to_microseconds(end, "--until")
        if first >= last:
            raise InvalidArgumentError(f"--since {since} is not before --until {until}; exchange them")
    return {"since": begin, "until": end}


def _tell_unknown(stats: StoreStats, namespace: str | None, category: str | None) -> None:
    """Says which name may be the reason why nothing was found."""
    asked = (("namespace", namespace, stats.namespaces), ("category", category, stats.categories))
    for what, name, known in asked:
        if name is not None and name not in known:
            names = [*sorted(known)[:_SHOWN_NAMES], *(["..."] if len(known) > _SHOWN_NAMES else [])]
            complain(f"no memory has the {what} {name!r}; there are {', '.join(names) or 'none'}")
