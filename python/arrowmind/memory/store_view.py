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
# Beyond the range of its file a memory has neighbours this near only: memories forgotten in between count.
_GAP = 64
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
        missing = np.array(sorted({id_ for id_ in ids if id_ not in self._told}), dtype=np.int64)
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
        ascending, places = np.unique(ids, return_inverse=True)
        # [n, 2 directions, _REACH]: ids nearest in number first.
        around = np.full((len(ascending), 2, _REACH), -1, dtype=np.int64)
        moments: dict[int, tuple[int, int]] = {}
        for block in self._blocks:
            part = _part(block.rows, ascending, _GAP)
            _look_around(block.rows, ascending[part], around[part], moments)
        listed = np.unique(around[around >= 0]).tolist()
        live = self._snapshot.admitted(listed, self._wanted)
        chosen = np.array(
            [
                [_first(sides[0], id_, live, moments), _first(sides[1], id_, live, moments)]
                for id_, sides in zip(ascending.tolist(), around.tolist(), strict=True)
            ],
            dtype=np.int64,
        ).reshape(-1, 2)
        return chosen[places]


_GONE = Told("", 0, "")


def _first(nearest: list[int], id_: int, live: set[int], moments: dict[int, tuple[int, int]]) -> int:
    """The nearest that may be found, is of the same namespace and was told within the hour."""
    own = moments.get(id_)
    for other in nearest:
        if own is not None and other in live and moments[other][1] == own[1]:
            return other if abs(moments[other][0] - own[0]) <= _NEAR_MICROSECONDS else -1
    return -1


def _part(rows: Rows, ascending: IntArray, margin: int = 0) -> slice:
    """Those of some ids that are in the range of these rows, or not far outside."""
    first, last = int(rows.ids[0]) - margin, int(rows.ids[-1]) + margin
    start, end = np.searchsorted(ascending, [first, last + 1]).tolist()
    return slice(start, end)


def _look_around(rows: Rows, ids: IntArray, around: IntArray, moments: dict[int, tuple[int, int]]) -> None:
    """Puts the nearest ids of these rows among those that other rows gave; and notes when they were told."""
    if not len(ids):
        return
    left, right = np.searchsorted(rows.ids, ids, side="left"), np.searchsorted(rows.ids, ids, side="right")
    places = np.stack([left[:, None] - 1 - np.arange(_REACH), right[:, None] + np.arange(_REACH)], axis=1)
    inside = (places >= 0) & (places < len(rows))
    found = np.where(inside, rows.ids[np.clip(places, 0, len(rows) - 1)], -1)
    both = np.concatenate([around, found], axis=2)
    distance = np.where(both < 0, np.iinfo(np.int64).max, np.abs(both - ids[:, None, None]))
    order = np.argsort(distance, axis=2, kind="stable")[:, :, :_REACH]
    around[:] = np.take_along_axis(both, order, axis=2)
    chosen = np.unique(np.concatenate([places[inside], left[left < right]]))
    values = zip(rows.timestamps[chosen].tolist(), rows.namespaces[chosen].tolist(), strict=True)
    moments.update(zip(rows.ids[chosen].tolist(), values, strict=True))


def _places(rows: Rows, ascending: IntArray) -> list[tuple[int, int]]:
    """(id, first row) of those ids that are in these rows."""
    ids = ascending[_part(rows, ascending)]
    found = np.searchsorted(rows.ids, ids)
    here = rows.ids[found] == ids
    return list(zip(ids[here].tolist(), found[here].tolist(), strict=True))
