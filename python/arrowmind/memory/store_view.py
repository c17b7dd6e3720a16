"""A snapshot as ranking sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.memories import Edges, TermStatistics, Told
from arrowmind.memory.ranking.question import speaker_of
from arrowmind.memory.vector_search import cosines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from arrowmind.memory.rows import Rows
    from arrowmind.memory.snapshot import Filter, Snapshot
    from arrowmind.memory.vector_search import Nearest

    IntArray = npt.NDArray[np.int64]
    FloatArray = npt.NDArray[np.float32]

__all__ = ["StoreMemories"]

# Neighbours of another namespace or a forgotten one are passed over, so many at most.
_REACH = 8
# What is told further apart in time is no context.
_NEAR_MICROSECONDS = 3600 * 1_000_000


class StoreMemories:
    """`Memories` of one recall: what was read once is kept until it ends."""

    def __init__(
        self,
        snapshot: Snapshot,
        vector: FloatArray | None,
        wanted: Filter,
        statistics: Callable[[Sequence[str]], TermStatistics],
        links: Callable[[Sequence[int]], Edges],
    ) -> None:
        """Sets it up.

        Args:
            snapshot: the store.
            vector: float32 [dimension] of the query, of length 1; None leaves meaning out.
            wanted: which memories may be found.
            statistics: how common terms are.
            links: what some memories are linked with.
        """
        self._snapshot = snapshot
        self._blocks = [block for block in snapshot.blocks if len(block.rows)]
        self._vector = vector
        self._wanted = wanted
        self._links = links
        self.statistics = statistics
        self._told: dict[int, Told] = {}
        self.nearest: dict[int, Nearest] = {}

    def told(self, ids: Sequence[int]) -> list[Told]:
        """The memories with these ids, in the same order."""
        missing = np.array([id_ for id_ in ids if id_ not in self._told], dtype=np.int64)
        for block in self._blocks if len(missing) else ():
            for id_, row in _places(block.rows, missing):
                if block.is_live(row):
                    text = block.rows.text(row)
                    self._told[id_] = Told(text, int(block.rows.timestamps[row]), speaker_of(text))
        return [self._told.get(id_, _GONE) for id_ in ids]

    def cosines(self, ids: Sequence[int]) -> dict[int, float]:
        """Cosine of each memory and the query; empty without a vector."""
        if self._vector is None:
            return {}
        missing = [id_ for id_ in ids if id_ not in self.nearest]
        if missing:
            self.nearest.update(cosines_of(self._snapshot.home, self._vector, missing))
        return {id_: self.nearest[id_].cosine for id_ in ids if id_ in self.nearest}

    def links(self, ids: IntArray) -> Edges:
        """What some memories are linked with; both ends may be found."""
        edges = self._links(ids.tolist())
        targets = np.unique(edges.targets)
        live = self._snapshot.admitted(targets.tolist(), self._wanted) if len(targets) else set()
        kept = np.array(sorted(live), dtype=np.int64)
        return edges.chosen(np.isin(edges.targets, kept))

    def neighbours(self, ids: IntArray) -> IntArray:
        """The memories told before and after each, int64 [n, 2]; -1 where there is none that may be found."""
        # [n, 2 directions, _REACH]: ids nearest in number first.
        around = np.full((len(ids), 2, _REACH), -1, dtype=np.int64)
        moments = np.full(len(ids), np.iinfo(np.int64).min // 2, dtype=np.int64)
        spaces = np.full(len(ids), -1, dtype=np.int64)
        times: dict[int, tuple[int, int]] = {}
        for block in self._blocks:
            _look_around(block.rows, ids, around, times)
            for place, row in _own_rows(block.rows, ids):
                moments[place] = block.rows.timestamps[row]
                spaces[place] = block.rows.namespaces[row]
        listed = np.unique(around[around >= 0]).tolist()
        live = self._snapshot.admitted(listed, self._wanted)
        chosen = np.full((len(ids), 2), -1, dtype=np.int64)
        for place in range(len(ids)):
            for side in (0, 1):
                chosen[place, side] = _first(
                    around[place, side].tolist(), live, times, int(moments[place]), int(spaces[place])
                )
        return chosen


_GONE = Told("", 0, "")


def _first(
    nearest: list[int], live: set[int], times: dict[int, tuple[int, int]], moment: int, namespace: int
) -> int:
    """The nearest that may be found, is of the same namespace and was told within the hour."""
    for id_ in nearest:
        if id_ in live and times[id_][1] == namespace:
            return id_ if abs(times[id_][0] - moment) <= _NEAR_MICROSECONDS else -1
    return -1


def _look_around(rows: Rows, ids: IntArray, around: IntArray, times: dict[int, tuple[int, int]]) -> None:
    """Puts the nearest ids of these rows among those that other rows gave."""
    behind = np.searchsorted(rows.ids, ids, side="left")[:, None] - 1 - np.arange(_REACH)
    ahead = np.searchsorted(rows.ids, ids, side="right")[:, None] + np.arange(_REACH)
    for side, places in ((0, behind), (1, ahead)):
        inside = (places >= 0) & (places < len(rows))
        found = np.where(inside, rows.ids[np.clip(places, 0, len(rows) - 1)], -1)
        both = np.concatenate([around[:, side], found], axis=1)
        distance = np.where(both < 0, np.iinfo(np.int64).max, np.abs(both - ids[:, None]))
        order = np.argsort(distance, axis=1, kind="stable")[:, :_REACH]
        around[:, side] = np.take_along_axis(both, order, axis=1)
        chosen = np.unique(places[inside])
        values = zip(rows.timestamps[chosen].tolist(), rows.namespaces[chosen].tolist(), strict=True)
        times.update(zip(rows.ids[chosen].tolist(), values, strict=True))


def _own_rows(rows: Rows, ids: IntArray) -> list[tuple[int, int]]:
    """(place in ids, first row) of those that are in these rows."""
    found = np.searchsorted(rows.ids, ids)
    inside = np.flatnonzero(found < len(rows))
    inside = inside[rows.ids[found[inside]] == ids[inside]]
    return list(zip(inside.tolist(), found[inside].tolist(), strict=True))


def _places(rows: Rows, ids: IntArray) -> list[tuple[int, int]]:
    """(id, first row) of those that are in these rows."""
    return [(int(ids[place]), row) for place, row in _own_rows(rows, ids)]
