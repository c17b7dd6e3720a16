"""Where scores are near, what comes from a trusted source comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.searching.fusion import Fused
from arrowmind.memory.storage.numbering import distinct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.memory.storage.snapshot import Snapshot

__all__ = ["by_trust"]

_FULL = 100


def by_trust(snapshot: Snapshot, ranked: Sequence[Fused], weight: float) -> list[Fused]:
    """The same, less a part ``trust`` for those that are not fully trusted, best first.

    Args:
        snapshot: tells the trust.
        ranked: best first.
        weight: what a memory loses that is not trusted at all.
    """
    ids = np.array([item.candidate.id for item in ranked], dtype=np.int64)
    trusts: dict[int, int] = {}
    for block, rows in snapshot.home.grouped(distinct(ids)):
        trusts.update(zip(block.rows.ids[rows].tolist(), block.rows.trusts[rows].tolist(), strict=True))
    if min(trusts.values(), default=_FULL) == _FULL:
        return list(ranked)
    judged = [_less(item, weight * (1 - trusts.get(item.candidate.id, _FULL) / _FULL)) for item in ranked]
    return sorted(judged, key=lambda item: -item.score)


def _less(item: Fused, loss: float) -> Fused:
    return Fused(item.candidate, {**item.parts, "trust": -loss}) if loss else item
