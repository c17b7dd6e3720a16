"""Figures of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.records import StoreStats
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.blocks import Filter
from arrowmind.memory.storage.paths import size_of
from arrowmind.memory.storage.traits import MODALITIES
from arrowmind.memory.times import now_microseconds

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.memory.storage.blocks import Block, Space
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.snapshot import Snapshot

    Mask = npt.NDArray[np.bool_]

__all__ = ["collect_stats"]


def collect_stats(paths: StorePaths, catalogue: Catalogue, snapshot: Snapshot) -> StoreStats:
    """Counts what the snapshot holds."""
    with catalogue.reading() as db:
        facts = tables.settings(db)
        forgotten = len({id_ for id_, _ in tables.tombstones(db)})
    live = [_live_rows(block) for block in snapshot.blocks]
    firsts = [(block.rows.windows == 0) & mask for block, mask in zip(snapshot.blocks, live, strict=True)]
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
            "blobs": size_of(paths.blobs),
        },
        categories=_named(snapshot, firsts, "categories", snapshot.categories),
        namespaces=_named(snapshot, firsts, "namespaces", snapshot.namespaces),
        modalities=_modalities(snapshot, firsts),
        spaces={space.row.name: _live_vectors(space) for space in snapshot.spaces if space.row.dimension},
    )


def _named(snapshot: Snapshot, firsts: list[Mask], column: str, names: dict[int, str]) -> dict[str, int]:
    """Memories by the name of a number in their rows; those without a name are left out."""
    values = np.concatenate(
        [getattr(b.rows, column)[m] for b, m in zip(snapshot.blocks, firsts, strict=True)]
    )
    numbers, counts = np.unique(values, return_counts=True)
    pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
    return {names[number]: count for number, count in pairs if number in names}


def _modalities(snapshot: Snapshot, firsts: list[Mask]) -> dict[str, int]:
    values = np.concatenate([b.rows.presences[m] for b, m in zip(snapshot.blocks, firsts, strict=True)])
    return {name: int(((values & bit) > 0).sum()) for name, bit in MODALITIES.items()}


def _live_vectors(space: Space) -> int:
    return sum(int(_live_rows(block).sum()) for block in space.blocks)


def _live_rows(block: Block) -> npt.NDArray[np.bool_]:
    excluded = block.excluded(Filter(now_microseconds()))
    return np.ones(len(block.rows), dtype=np.bool_) if excluded is None else ~excluded
