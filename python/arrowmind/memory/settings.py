"""What a store does when, and how recall weighs its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.ranking.weights import checked_episode_weights, checked_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arrowmind.config import Config
    from arrowmind.memory.ranking import Reranker

__all__ = ["RecallSettings", "StoreSettings", "configured_recall_settings", "configured_store_settings"]

_FUSIONS = ("learned", "association", "score", "rank")


@dataclass(frozen=True)
class RecallSettings:
    """How recall finds and ranks; docs/design/0003-memory-store.md tells what was measured.

    Attributes:
        fusion: ``"learned"`` adds signals by learned weights (docs/design/0016-recall.md);
            ``"association"`` adds ``alpha`` times the similarity and ``beta`` times the association;
            ``"score"`` adds cosine and relative BM25; ``"rank"`` adds reciprocal ranks. The first two order
            what is asked in words of both legs; a single leg is ordered by ``"score"``, and so are images and
            sounds, together with what a walk along links from the best of them says.
        vector_weight: weight of the meaning; 0 leaves it out.
        text_weight: weight of the words; 0 leaves them out.
        rank_offset: the k of reciprocal rank fusion: the larger, the less the first places stand out.
        depth: memories each leg hands to the fusion, at least; never fewer than ``4 * top_k``.
        full_scan_rows: up to this many vectors every one is compared in INT8; above, one-bit codes choose.
        oversample: one-bit candidates per memory that the vector leg must deliver.
        threads: threads of one search.
        cold_finalists: of the cold memories of each file, how many of the best are encoded again for a query.
        weights: what each signal counts, instead of what is shipped; names as in ``Explanation.parts``.
        episode_weights: what each signal of an episode counts, instead of what is shipped; names as in
            ``Episode.parts``.
        link_weight: what a memory that is linked with the best is worth, as a share of what the best is
            worth, where images, sounds or vectors of other spaces are asked for; 0 leaves links out there.
            Words have a learned weight for it.
        trust_weight: what full trust gains on none: where scores are nearer to each other, what is trusted
            more comes first. 0 leaves the order alone.
        alpha: weight of the similarity, 0 to 1.
        beta: weight of the association, 0 to 1.
        reranker: a cross-encoder that judges what is asked in words alone: the first ``rerank_depth``
            memories, of episodes the best of each before all others.
        rerank_depth: how many it judges.
        rerank_weight: what the best of them gains on the worst.
    """

    fusion: str = "learned"
    vector_weight: float = 1.0
    text_weight: float = 0.5
    rank_offset: float = 2.0
    depth: int = 100
    full_scan_rows: int = 65_536
    oversample: int = 30
    threads: int = 1
    cold_finalists: int = 16
    weights: Mapping[str, float] | None = None
    episode_weights: Mapping[str, float] | None = None
    link_weight: float = 0.7
    trust_weight: float = 0.02
    alpha: float = 0.7
    beta: float = 0.3
    reranker: Reranker | None = None
    rerank_depth: int = 30
    rerank_weight: float = 1.0

    @property
    def by_signals(self) -> bool:
        """Whether a question in words is ordered by signals; one leg alone gives its own order."""
        return self.fusion in ("learned", "association") and min(self.vector_weight, self.text_weight) > 0

    @property
    def by_links(self) -> bool:
        """Whether what is asked by image, sound or other vectors goes along links, too."""
        if self.fusion == "association":
            return self.beta > 0 and self.vector_weight > 0
        return self.fusion == "learned" and self.link_weight > 0 and self.vector_weight > 0

    def __post_init__(self) -> None:
        _require_positive(self, "rank_offset", "depth", "oversample", "threads", "rerank_depth")
        if not (0 <= self.alpha <= 1 and 0 <= self.beta <= 1 and self.alpha + self.beta > 0):
            raise InvalidArgumentError(
                f"alpha={self.alpha}, beta={self.beta}: give numbers of 0 to 1, not both 0"
            )
        if not (0 <= self.link_weight <= 10 and 0 <= self.trust_weight <= 10):
            raise InvalidArgumentError(
                f"link_weight={self.link_weight}, trust_weight={self.trust_weight}: give numbers of 0 to 10"
            )
        if self.fusion not in _FUSIONS:
            raise InvalidArgumentError(f"fusion={self.fusion!r}: give one of {', '.join(_FUSIONS)}")
        if self.weights is not None:
            checked_weights(self.weights)
        if self.episode_weights is not None:
            checked_episode_weights(self.episode_weights)
        if min(self.vector_weight, self.text_weight) < 0 or self.vector_weight + self.text_weight <= 0:
            raise InvalidArgumentError(
                f"weights vector={self.vector_weight}, text={self.text_weight}: give numbers of at least 0, "
                "not both 0"
            )


@dataclass(frozen=True)
class StoreSettings:
    """When a store moves memories from the catalogue to segments, and segments together.

    Attributes:
        flush_rows: vectors waiting in the catalogue that make a new segment.
        batch_rows: vectors in one record batch of a segment, at most (one memory is never split).
        merge_count: segments of about equal size that are merged into one.
        merge_rows: vectors of a merged segment, at most; it bounds how long a merge takes.
        dead_share: share of forgotten vectors above which a segment is rewritten on its own.
        orphan_seconds: age from which a file that nothing names is removed.
        busy_seconds: how long a call waits for another process before it gives up.
    """

    flush_rows: int = 2048
    batch_rows: int = 65_536
    merge_count: int = 8
    merge_rows: int = 262_144
    dead_share: float = 0.3
    orphan_seconds: float = 60.0
    busy_seconds: float = 30.0

    def __post_init__(self) -> None:
        _require_positive(self, "flush_rows", "batch_rows", "merge_rows", "dead_share", "busy_seconds")
        if self.merge_count < 2:
            raise InvalidArgumentError(f"merge_count={self.merge_count}: give at least 2")


def configured_recall_settings(config: Config) -> RecallSettings:
    """How recall ranks where the caller does not say it."""
    return RecallSettings(vector_weight=config.memory.vector_weight, text_weight=config.memory.text_weight)


def configured_store_settings(config: Config) -> StoreSettings:
    """When a store moves its data where the caller does not say it."""
    return StoreSettings(flush_rows=config.memory.flush_rows)


def _require_positive(settings: object, *names: str) -> None:
    for name in names:
        if not getattr(settings, name) > 0:
            raise InvalidArgumentError(f"{name}={getattr(settings, name)}: give a number above 0")
