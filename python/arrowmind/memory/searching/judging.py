"""What is added to scores whatever made them: a cross-encoder's word, and less for what is not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.memory.ranking.reranker import rerank_shares
from arrowmind.memory.searching.fusion import Fused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.memory.searching.store_view import StoreMemories
    from arrowmind.memory.settings import RecallSettings

    Judgements = Mapping[str, Mapping[int, float]]

__all__ = ["judged", "judgements", "reach", "with_parts"]

# So many more are ranked than asked for: what is trusted more may come from behind.
_TRUST_REACH = 20


def reach(count: int, settings: RecallSettings) -> int:
    """How many memories to rank, so that judging them may bring up others than the first ``count``."""
    trusted = count + _TRUST_REACH if settings.trust_weight else count
    return trusted if settings.reranker is None else max(trusted, settings.rerank_depth)


def judgements(
    query: str, ids: Sequence[int], memories: StoreMemories, settings: RecallSettings
) -> dict[str, dict[int, float]]:
    """Parts of scores by name and memory; a memory of which there is nothing to say has none.

    Args:
        query: as it was asked; empty where there is nothing for a cross-encoder to read.
        ids: memories in the order in which a cross-encoder reads them, as far as it gets.
        memories: the store.
        settings: how.
    """
    found: dict[str, dict[int, float]] = {}
    if settings.reranker is not None and query:
        read = ids[: settings.rerank_depth]
        shares = rerank_shares(query, [told.text for told in memories.told(read)], settings.reranker)
        found["reranker"] = {
            id_: settings.rerank_weight * share for id_, share in zip(read, shares, strict=True)
        }
    if settings.trust_weight:
        trusts = memories.trusts(ids)
        less = {id_: settings.trust_weight * (trust - 1) for id_, trust in trusts.items() if trust < 1}
        found["trust"] = less
    return {name: parts for name, parts in found.items() if parts}


def judged(query: str, ranked: list[Fused], memories: StoreMemories, settings: RecallSettings) -> list[Fused]:
    """Memories with these parts in their scores, best first."""
    more = judgements(query, [item.candidate.id for item in ranked], memories, settings)
    if not more:
        return ranked
    return sorted((with_parts(item, more) for item in ranked), key=lambda item: -item.score)


def with_parts(item: Fused, more: Judgements) -> Fused:
    """A memory with those of some parts that are its own."""
    id_ = item.candidate.id
    own = {name: parts[id_] for name, parts in more.items() if id_ in parts}
    return Fused(item.candidate, {**item.parts, **own}) if own else item
