"""Which memories belong together: near in meaning, nearer still when near in time."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.resting import may_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from arrowmind.consolidate.records import SourceMemory

    FloatArray = npt.NDArray[np.float32]
    Nearest = Callable[[FloatArray, int], list[tuple[int, float]]]

__all__ = ["Grouping", "group"]

_NEIGHBOURS = 64


@dataclass(frozen=True)
class Grouping:
    """How memories are grouped.

    Attributes:
        cosine: two memories this near belong together whenever they happened.
        cosine_in_time: the same for two that happened within the gap.
        gap: microseconds.
        least: memories of a group; fewer stay as they are.
        most: memories of a group.
        max_groups: of one run.
    """

    cosine: float = 0.6
    cosine_in_time: float = 0.25
    gap: int = 6 * 3600 * 1_000_000
    least: int = 3
    most: int = 24
    max_groups: int = 1_000


def group(
    memories: Sequence[SourceMemory], nearest: Nearest, grouping: Grouping
) -> list[tuple[SourceMemory, ...]]:
    """Groups of memories, each in order of time.

    One memory after the other, in the order given, takes what is nearest to it and still free: of the store's
    scan the first 64, and of its neighbours in time the 64 around it. Work grows with the number of memories
    times one scan, never with their pairs.

    Args:
        memories: that may be grouped, the most wanted first; those without a vector are left alone.
        nearest: the store's scan: (vector, count) -> ids and cosines.
        grouping: how.
    """
    usable = [memory for memory in memories if memory.vector is not None]
    free = {memory.id: memory for memory in usable}
    in_time = _Timeline(usable)
    groups: list[tuple[SourceMemory, ...]] = []
    for seed in usable:
        if len(groups) >= grouping.max_groups:
            break
        if seed.id not in free:
            continue
        may_rest()
        members = _members(seed, free, nearest, in_time, grouping)
        if len(members) >= grouping.least:
            groups.append(tuple(sorted(members, key=lambda memory: (memory.timestamp, memory.id))))
            for member in members:
                del free[member.id]
    return groups


class _Timeline:
    """Memories of each namespace in order of time."""

    def __init__(self, memories: Sequence[SourceMemory]) -> None:
        self._rows: dict[str, list[SourceMemory]] = {}
        for memory in sorted(memories, key=lambda memory: (memory.timestamp, memory.id)):
            self._rows.setdefault(memory.namespace, []).append(memory)
        self._times = {name: [row.timestamp for row in rows] for name, rows in self._rows.items()}

    def around(self, memory: SourceMemory, gap: int) -> list[SourceMemory]:
        """Those within the gap, the 64 nearest in order."""
        rows, times = self._rows[memory.namespace], self._times[memory.namespace]
        place = bisect.bisect_left(times, memory.timestamp)
        low = max(bisect.bisect_left(times, memory.timestamp - gap), place - _NEIGHBOURS // 2)
        high = min(bisect.bisect_right(times, memory.timestamp + gap), place + _NEIGHBOURS // 2)
        return rows[low:high]


def _members(
    seed: SourceMemory,
    free: dict[int, SourceMemory],
    nearest: Nearest,
    in_time: _Timeline,
    grouping: Grouping,
) -> list[SourceMemory]:
    if seed.vector is None:
        return []
    found: dict[int, float] = {}
    for id_, cosine in nearest(seed.vector, _NEIGHBOURS):
        memory = free.get(id_)
        if memory is not None and memory.namespace == seed.namespace and cosine >= grouping.cosine:
            found[id_] = cosine
    around = [memory for memory in in_time.around(seed, grouping.gap) if memory.id in free]
    vectors = [memory.vector for memory in around if memory.vector is not None]
    if vectors:
        cosines = (np.stack(vectors) @ seed.vector).tolist()
        for memory, cosine in zip(around, cosines, strict=True):
            if cosine >= grouping.cosine_in_time:
                # Near in time counts as much as the difference of the two bounds.
                found[memory.id] = cosine + grouping.cosine - grouping.cosine_in_time
    found.pop(seed.id, None)
    best = sorted(found, key=lambda id_: (-found[id_], id_))[: grouping.most - 1]
    return [seed, *(free[id_] for id_ in best)]
