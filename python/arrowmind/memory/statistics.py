"""Figures of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory import tables
from arrowmind.memory.paths import size_of
from arrowmind.memory.records import StoreStats
from arrowmind.memory.snapshot import Filter
from arrowmind.memory.times import now_microseconds

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.memory.catalogue import Catalogue
    from arrowmind.memory.paths import StorePaths
    from arrowmind.memory.snapshot import Block, Snapshot

__all__ = ["collect_stats"]


def collect_stats(paths: StorePaths, catalogue: Catalogue, snapshot: Snapshot) -> StoreStats:
    """Counts what the snapshot holds."""
    with catalogue.reading() as db:
        facts = tables.settings(db)
        forgotten = len(tables.tombstones(db))
    live = [_live_rows(block) for block in snapshot.blocks]
    firsts = [(block.rows.windows == 0) & mask for block, mask in zip(snapshot.blocks, live, strict=True)]
    categories = np.concatenate(
        [block.rows.categories[mask] for block, mask in zip(snapshot.blocks, firsts, strict=True)]
    )
    numbers, counts = np.unique(categories, return_counts=True)
    named = {snapshot.categories.get(n): c for n, c in zip(numbers.tolist(), counts.tolist(), strict=True)}
    catalogue_files = [paths.catalogue.with_name(paths.catalogue.name + end) for end in ("", "-wal", "-shm")]
    return StoreStats(
        path=str(paths.root),
        records=sum(int(mask.sum()) for mask in firsts),
        vectors=sum(int(mask.sum()) for mask in live),
        pending=int(firsts[-1].sum()),
        segments=len({block.segment.id for block in snapshot.blocks if block.segment}),
        forgotten=forgotten,
        indexed=snapshot.text_index.records if snapshot.text_index else 0,
        dimension=int(facts["dimension"]) if "dimension" in facts else None,
        encoder=str(facts["encoder"]) if "encoder" in facts else None,
        bytes={
            "catalogue": sum(map(size_of, catalogue_files)),
            "segments": size_of(paths.segments),
            "index": size_of(paths.index),
        },
        categories={name: count for name, count in named.items() if name is not None},
    )


def _live_rows(block: Block) -> npt.NDArray[np.bool_]:
    excluded = block.excluded(Filter(now_microseconds()))
    return np.ones(len(block.rows), dtype=np.bool_) if excluded is None else ~excluded
