"""Finds what new memories belong with by their images and sounds, and across kinds as aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.resting import may_rest
from arrowmind.memory.searching.aligning import joint_rows
from arrowmind.memory.searching.calibration import baselines
from arrowmind.memory.searching.retrieval import with_text
from arrowmind.memory.searching.vector_search import nearest
from arrowmind.memory.storage.spaces import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.joint import Alignment, Rows
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.blocks import Filter, Space
    from arrowmind.memory.storage.snapshot import Snapshot

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]
    Pair = tuple[int, int, str, float]

__all__ = ["linked_by_kinds"]

_SIMILAR = 4
# Three deviations above any row of the space.
_LEAST_SHARE = 0.3


def linked_by_kinds(
    snapshot: Snapshot, alignment: Alignment, settings: RecallSettings, wanted: Mapping[int, Filter]
) -> Iterator[Pair]:
    """Pairs of memories of which one resembles the other in a kind of content that is no text.

    A memory is looked for by each of its images and sounds among those of others, and in the kinds that it
    lacks by what the alignment makes of those that it has.

    Args:
        snapshot: the store.
        alignment: of its kinds.
        settings: how to search.
        wanted: ids of memories, and what may be linked with each.
    """
    if len(snapshot.spaces) < 2:
        return
    ids = np.array(list(wanted), dtype=np.int64)
    rows = joint_rows(snapshot, ids.tolist())
    for space in snapshot.spaces:
        for chosen, vectors, believed in _looks(space.row.name, rows, alignment):
            usable = vectors.any(axis=1)
            some = ids[chosen[usable]].tolist()
            yield from _pairs(space, some, vectors[usable], believed, wanted, settings)


def _looks(kind: str, rows: Rows, alignment: Alignment) -> Iterator[tuple[IntArray, FloatArray, float]]:
    """What memories are looked for by in a space: which of them, their vectors of length 1 or of zeros, and
    how far these are to be believed.
    """
    # By texts they are linked already.
    if kind in rows.vectors and kind != TEXT:
        held = np.flatnonzero(rows.present[kind])
        yield held, _units(rows.vectors[kind][held]), 1.0
    for source in rows.vectors:
        if source == kind or (source, kind) not in alignment.maps:
            continue
        lacking = (
            rows.present[source] if kind not in rows.present else rows.present[source] & ~rows.present[kind]
        )
        chosen = np.flatnonzero(lacking)
        mapped = alignment.map(_units(rows.vectors[source][chosen]), source, kind)
        if mapped is not None:
            yield chosen, _units(mapped), alignment.reliability(source, kind)


def _pairs(
    space: Space,
    ids: Sequence[int],
    units: FloatArray,
    believed: float,
    wanted: Mapping[int, Filter],
    settings: RecallSettings,
) -> Iterator[Pair]:
    for id_, unit, calibrated in zip(ids, units, baselines(space, units), strict=True):
        may_rest()
        limits = with_text(wanted[id_]) if space.row.name == TEXT else wanted[id_]
        for item in nearest(space, unit, _SIMILAR + 1, limits, settings):
            weight = believed * calibrated.share(item.cosine) - _LEAST_SHARE
            if item.id != id_ and weight > 0:
                yield id_, item.id, "similar", weight


def _units(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: FloatArray = vectors / np.where(lengths > 0, lengths, np.float32(1))
    return units
