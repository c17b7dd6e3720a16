"""The newest memories of a store, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arrowmind.memory.storage.blocks import Filter
    from arrowmind.memory.storage.snapshot import Snapshot

__all__ = ["newest_ids"]


def newest_ids(snapshot: Snapshot, wanted: Filter, count: int, before: int | None) -> list[int]:
    """Ids of the memories that were remembered last, the newest first.

    Args:
        snapshot: the state of the store.
        wanted: which of them.
        count: how many at most.
        before: only ids below this one: the last of the page before.
    """
    found = []
    for block in snapshot.blocks:
        kept = block.rows.windows == 0
        if before is not None:
            kept &= block.rows.ids < before
        excluded = block.excluded(wanted)
        rows = np.flatnonzero(kept if excluded is None else kept & ~excluded)
        found.append(block.rows.ids[rows[-count:]])  # ids ascend within a block
    # A memory that is just moving to a segment is in one block only: each snapshot is consistent.
    ids: list[int] = np.sort(np.concatenate(found))[::-1][:count].tolist() if found else []
    return ids
