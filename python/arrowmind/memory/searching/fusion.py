"""From two rankings to one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arrowmind.memory.storage.spaces import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from arrowmind.memory.settings import RecallSettings

__all__ = ["Candidate", "Fused", "Match", "fuse"]

Match = tuple[float, float, "int | None"]
"""Cosine, share and rank, as `SpaceMatch` has them: a recall makes hundreds and shows ten."""


@dataclass
class Candidate:
    """A memory that one of the legs proposed, and what is known of it.

    Attributes:
        id: its id.
        cosine: cosine of its best window; None while unknown, or in a recall without meaning.
        window: that window.
        vector_rank: place by cosine, from 1; None if the vector leg did not propose it.
        bm25: score of its words; 0 if the text leg did not propose it.
        text_rank: place by BM25, from 1; None if the text leg did not propose it.
        others: what other spaces and other parts of the query than its text say, by part and space.
        shares: what the space says that says it best, by part.
    """

    id: int
    cosine: float | None = None
    window: int = 0
    vector_rank: int | None = None
    bm25: float = 0.0
    text_rank: int | None = None
    others: dict[tuple[str, str], Match] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)

    def note(self, part: str, space: str, match: Match) -> None:
        """What a space says of it and a part of the query."""
        self.others[part, space] = match
        if match[1] > self.shares.get(part, 0.0):
            self.shares[part] = match[1]

    def part(self, name: str) -> float:
        """How well the memory answers a part of the query, 0 to 1: by the space that says it best."""
        share = self.shares.get(name, 0.0)
        return max(share, self.cosine or 0.0) if name == TEXT else share

    def rank(self, name: str) -> int | None:
        """The best place that a space gives it for a part of the query."""
        own = [self.vector_rank] if name == TEXT else []
        ranks = [*own, *(match[2] for (part, _), match in self.others.items() if part == name)]
        return min((rank for rank in ranks if rank is not None), default=None)


@dataclass(frozen=True)
class Fused:
    """A candidate with its score, which is the sum of the named parts."""

    candidate: Candidate
    parts: Mapping[str, float]

    @property
    def score(self) -> float:
        """About 0 to 1."""
        return sum(self.parts.values())


def fuse(
    candidates: Iterable[Candidate], settings: RecallSettings, parts: Sequence[str] = (TEXT,)
) -> list[Fused]:
    """Candidates with their scores, best first; equal ones by cosine, then lower id first.

    Args:
        candidates: what the legs proposed.
        settings: how.
        parts: of the query, of equal weight.
    """
    listed = list(candidates)
    total = settings.vector_weight + settings.text_weight
    vector_weight, text_weight = settings.vector_weight / total, settings.text_weight / total
    best_bm25 = max((candidate.bm25 for candidate in listed), default=0.0)
    fused = [
        Fused(
            candidate,
            {
                "meaning": vector_weight * _vector_part(candidate, settings, parts),
                "words": text_weight * _text_part(candidate, settings, best_bm25),
            },
        )
        for candidate in listed
    ]
    return sorted(fused, key=lambda item: (-item.score, -(item.candidate.cosine or 0.0), item.candidate.id))


def _vector_part(candidate: Candidate, settings: RecallSettings, parts: Sequence[str]) -> float:
    if settings.fusion == "rank":
        found = [_reciprocal(candidate.rank(part), settings.rank_offset) for part in parts]
    else:
        found = [candidate.part(part) for part in parts]
    return sum(found) / len(found) if found else 0.0


def _text_part(candidate: Candidate, settings: RecallSettings, best: float) -> float:
    if settings.fusion == "rank":
        return _reciprocal(candidate.text_rank, settings.rank_offset)
    return candidate.bm25 / best if best > 0 else 0.0


def _reciprocal(rank: int | None, offset: float) -> float:
    return 0.0 if rank is None else (1 + offset) / (rank + offset)
