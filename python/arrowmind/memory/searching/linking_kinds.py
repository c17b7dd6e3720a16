"""Finds what new memories belong with by their images and sounds, and across kinds as aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.searching.aligning import joint_rows
from arrowmind.memory.searching.calibration import baseline
from arrowmind.memory.searching.retrieval import with_text
from arrowmind.memory.searching.vector_search import nearest
from arrowmind.memory.storage.spaces import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from arrowmind.joint import Alignment
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.blocks import Filter, Space
    from arrowmind.memory.storage.snapshot import Snapshot

    FloatArray = npt.NDArray[np.float32]
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
    ids = list(wanted)
    rows = joint_rows(snapshot, ids)
    for place, id_ in enumerate(ids):
        held = {kind: rows.vectors[kind][place] for kind in rows.vectors if rows.present[kind][place]}
        for space in snapshot.spaces:
            for vector, believed in _looks(space.row.name, held, alignment):
                yield from _pairs(space, id_, vector, believed, wanted[id_], settings)


def _looks(
    kind: str, held: Mapping[str, FloatArray], alignment: Alignment
) -> Iterator[tuple[FloatArray, float]]:
    """What a memory is looked for by in a space, and how far that is to be believed."""
    if kind in held:
        # By texts they are linked already.
        if kind != TEXT:
            yield held[kind], 1.0
        return
    for source, vector in held.items():
        mapped = alignment.map(_unit(vector)[None], source, kind)
        if mapped is not None:
            yield mapped[0], alignment.reliability(source, kind)


def _pairs(
    space: Space, id_: int, vector: FloatArray, believed: float, wanted: Filter, settings: RecallSettings
) -> Iterator[Pair]:
    unit = _unit(vector)
    if not unit.any():
        return
    limits = with_text(wanted) if space.row.name == TEXT else wanted
    calibrated = baseline(space, unit)
    for item in nearest(space, unit, _SIMILAR + 1, limits, settings):
        weight = believed * calibrated.share(item.cosine) - _LEAST_SHARE
        if item.id != id_ and weight > 0:
            yield id_, item.id, "similar", weight


def _unit(vector: FloatArray) -> FloatArray:
    length = np.float32(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
