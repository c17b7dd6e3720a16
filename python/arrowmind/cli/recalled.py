"""Memories and episodes that were recalled, as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.cli.render import bytes_text, counted, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from arrowmind.memory import Episode, Hit, Record

__all__ = ["print_episodes", "print_hits", "spans_of"]

_SHOWN_CHARACTERS = 600
_SHOWN_SPANS = 8


def print_hits(hits: Sequence[Hit], *, full: bool, explain: bool) -> None:
    """Memories, the best first.

    Args:
        hits: what was recalled.
        full: print long texts to their end.
        explain: tell what scores are the sum of.
    """
    if not hits:
        write("nothing found")
    for place, hit in enumerate(hits, 1):
        label = f", {hit.record.category}" if hit.record.category else ""
        write(f"{place}. [{hit.score:.3f}, #{hit.id}, {hit.record.timestamp:%Y-%m-%d}{label}]")
        _write_hit(hit, full=full, explain=explain)


def print_episodes(episodes: Sequence[Episode], *, full: bool, explain: bool) -> None:
    """Episodes with their best memories; as `print_hits`."""
    if not episodes:
        write("nothing found")
    for place, episode in enumerate(episodes, 1):
        value = f"{episode.value}, " if episode.value is not None else ""
        count = counted(len(episode.ids), "memory", "memories")
        when = _period(episode.began, episode.ended)
        write(f"{place}. [{episode.score:.3f}, {value}{when}, {count}: {spans_of(episode.ids)}]")
        if explain:
            write(f"   {_sum(episode.parts)}")
        for hit in episode.hits:
            write(f"   [{hit.score:.3f}, #{hit.id}]")
            _write_hit(hit, full=full, explain=explain)


def spans_of(ids: Iterable[int]) -> str:
    """Ascending ids in short: `#3-7 #9`; the first spans of many."""
    spans: list[list[int]] = []
    for id_ in ids:
        if spans and id_ == spans[-1][1] + 1:
            spans[-1][1] = id_
        else:
            spans.append([id_, id_])
    told = [f"#{first}" if first == last else f"#{first}-{last}" for first, last in spans[:_SHOWN_SPANS]]
    return " ".join([*told, *(["..."] if len(spans) > _SHOWN_SPANS else [])])


def _period(began: datetime, ended: datetime) -> str:
    if began.date() == ended.date():
        return f"{began:%Y-%m-%d %H:%M}" + (f" to {ended:%H:%M}" if ended > began else "")
    return f"{began:%Y-%m-%d} to {ended:%Y-%m-%d}"


def _write_hit(hit: Hit, *, full: bool, explain: bool) -> None:
    cut = not full and len(hit.text) > _SHOWN_CHARACTERS
    text = f"{hit.text[:_SHOWN_CHARACTERS]} ..." if cut else hit.text
    why = [f"({_sum(hit.explain.parts)})"] if explain else []
    write("\n".join(f"   {line}" for line in [*text.splitlines(), *_attached(hit.record), *why]))


def _sum(parts: Mapping[str, float]) -> str:
    """What a score is the sum of, the largest first."""
    ordered = sorted(parts.items(), key=lambda part: -abs(part[1]))
    return " ".join(f"{value:+.3f} {name}" for name, value in ordered if round(value, 3))


def _attached(record: Record) -> list[str]:
    """What belongs to a memory beside its text, and where it came from."""
    things = [f"[{one.media_type}, {bytes_text(one.size)}]" for one in record.attachments]
    return [*things, *([f"({record.metadata['file']})"] if "file" in record.metadata else [])]
