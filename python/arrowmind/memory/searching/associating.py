"""What is linked with the best of a recall that asks by image or sound, or by a vector of any kind.

A picture and the note about it, told a minute later, share neither words nor vectors. Links and the order in
which memories were told bring them together: a walk from the best hits goes along both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.memories import Edges
from arrowmind.memory.ranking.walk import RESTART, walk
from arrowmind.memory.searching.fusion import Fused

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.searching.store_view import StoreMemories
    from arrowmind.memory.settings import RecallSettings

    IntArray = npt.NDArray[np.int64]
    Shares = npt.NDArray[np.float64]

__all__ = ["associate", "linked_from", "strongest"]

_SEEDS, _ADDED = 20, 30
# The walk starts at the better hits far more often: e times for each so much more of the score.
_SEED_SCALE = 12.0
# Who was told just before or after belongs with a memory as much as a text of cosine 0.9 does.
_NEXT = 0.6


def linked_from(ranked: Sequence[Fused], memories: StoreMemories) -> dict[int, float]:
    """How many walkers from the best arrive at each memory along a link, as a share of the most.

    Those that stop where they started do not count: a hit is no better for being one.

    Args:
        ranked: best first; one at least.
        memories: the store.
    """
    seeds = sorted(ranked[:_SEEDS], key=lambda item: item.candidate.id)
    ids = np.array([item.candidate.id for item in seeds], dtype=np.int64)
    scores = np.array([item.score for item in seeds])
    shares = np.exp(_SEED_SCALE * (scores - scores.max()))
    looked: list[Edges] = []

    def edges(some: IntArray) -> Edges:
        looked.append(_edges(memories, some))
        return looked[-1]

    at, stopped = walk(ids, shares, edges)
    # Of walkers without any link all stop at once.
    stayed = np.where(np.isin(ids, looked[0].sources), RESTART, 1.0) * shares / shares.sum()
    stopped[np.searchsorted(at, ids)] -= stayed
    best = max(float(stopped.max(initial=0.0)), 1e-9)
    return {
        id_: share / best for id_, share in zip(at.tolist(), stopped.tolist(), strict=True) if share > 1e-9
    }


def _edges(memories: StoreMemories, ids: IntArray) -> Edges:
    """Stored links, and those to what was told just before and after."""
    stored, near = memories.links(ids), memories.neighbours(ids)
    beside = near >= 0
    sources, targets = np.repeat(ids, beside.sum(axis=1)), near[beside]
    return Edges(
        np.concatenate([stored.sources, sources]),
        np.concatenate([stored.targets, targets]),
        np.concatenate([stored.weights, np.full(len(targets), _NEXT)]),
    )


def strongest(linked: dict[int, float], known: Sequence[int]) -> list[int]:
    """Memories that only the walk found, those where it ends most often."""
    present = set(known)
    new = (id_ for id_ in linked if id_ not in present)
    return sorted(new, key=lambda id_: (-linked[id_], id_))[:_ADDED]


def associate(
    fused: Sequence[Fused], linked: dict[int, float], settings: RecallSettings, count: int
) -> list[Fused]:
    """The best with what the walk says, best first.

    Args:
        fused: all candidates with their scores.
        linked: how often the walk ends at each.
        settings: how much that counts.
        count: how many.
    """
    ids = np.array([item.candidate.id for item in fused], dtype=np.int64)
    scores = np.array([item.score for item in fused], dtype=np.float64)
    roots = np.sqrt([linked.get(id_, 0.0) for id_ in ids.tolist()])
    if settings.fusion == "association":
        own, added = settings.alpha, settings.beta * roots
    else:
        worth = settings.link_weight * float(scores.max(initial=0.0))
        # A link lifts a memory up to its worth and no further: what answers by itself stays ahead.
        own, added = 1.0, np.maximum(worth * roots - scores, 0.0)
    best = np.lexsort((ids, -(own * scores + added)))[:count].tolist()
    return [_summed(fused[row], own, float(added[row])) for row in best]


def _summed(item: Fused, own: float, links: float) -> Fused:
    return Fused(item.candidate, {**{name: own * part for name, part in item.parts.items()}, "links": links})
