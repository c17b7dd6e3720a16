"""Where something private stands in a text, and what to do with finds that overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Span", "resolve_overlaps"]


class Span(NamedTuple):
    """A find.

    Attributes:
        start: first character, counted in code points.
        end: the character behind the last.
        kind: what it is, for instance `card`.
        confidence: how sure that is, 0 to 1.
    """

    start: int
    end: int
    kind: str
    confidence: float


def resolve_overlaps(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, none overlapping: those that do become one that covers them all.

    Its kind is that of the surest, then of the longest. Nothing that any detector found stays uncovered.
    """
    resolved: list[Span] = []
    winner: Span | None = None
    for span in sorted(spans):
        if winner is None or span.start >= resolved[-1].end:
            resolved.append(span)
            winner = span
            continue
        if _weight(span) > _weight(winner):
            winner = span
        last = resolved[-1]
        resolved[-1] = Span(last.start, max(last.end, span.end), winner.kind, winner.confidence)
    return resolved


def _weight(span: Span) -> tuple[float, int]:
    return span.confidence, span.end - span.start
