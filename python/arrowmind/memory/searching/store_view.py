"""A snapshot as ranking sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.memories import Edges, TermStatistics, Told
from arrowmind.memory.ranking.pool import UNLABELLED
from arrowmind.memory.ranking.question import speaker_of
from arrowmind.memory.searching.vector_search import cosines_of
from arrowmind.memory.storage.numbering import distinct
from arrowmind.memory.storage.traits import FULL_TRUST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from arrowmind.memory.searching.labels import Labels
    from arrowmind.memory.searching.vector_search import Nearest
    from arrowmind.memory.storage.blocks import Filter
    from arrowmind.memory.storage.snapshot import Snapshot

    IntArray = npt.NDArray[np.int64]
    FloatArray = npt.NDArray[np.float32]

__all__ = ["StoreMemories"]

# Neighbours of another namespace or a forgotten one are passed over, so many at most.
_REACH = 8
# Of an episode, so many memories on each side of its best are looked through, told so near in time.
_AROUND, _AROUND_MICROSECONDS = 24, 12 * 3600 * 1_000_000
# Of one that shares a field so many, whenever they were told: several may go on side by side.
_AROUND_LABELLED = 96
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
        told: dict[int, Told],
        labels: Labels,
    ) -> None:
        """Sets it up.

        Args:
            snapshot: the store.
            vector: float32 [dimension] of the query, of length 1; None leaves meaning out.
            wanted: which memories may be found.
            statistics: how common terms are.
            links: what some memories are linked with.
            told: what was read already; grows.
            labels: what makes memories one episode.
        """
        self._snapshot = snapshot
        self._vector = vector
        self._wanted = wanted
        self._links = links
        self.statistics = statistics
        self._told = told
        self._labels = labels
        self.nearest: dict[int, Nearest] = {}

    def told(self, ids: Sequence[int]) -> list[Told]:
        """The memories with these ids, in the same order."""
        missing = distinct(np.array([id_ for id_ in ids if id_ not in self._told], dtype=np.int64))
        for block, rows in self._snapshot.home.grouped(missing):
            if block.dead is not None:
                rows = rows[~block.dead[rows]]
            texts = block.rows.texts_at(rows.tolist())
            moments = block.rows.timestamps[rows].tolist()
            tellings = map(Told, texts, moments, map(speaker_of, texts))
            self._told.update(zip(block.rows.ids[rows].tolist(), tellings, strict=True))
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
        targets = distinct(edges.targets)
        live = self._snapshot.admits(targets, self._wanted)
        return edges.chosen(live[np.searchsorted(targets, edges.targets)])

    def neighbours(self, ids: IntArray) -> IntArray:
        """The memories told before and after each, int64 [n, 2]; -1 where there is none that may be found."""
        ascending, places = np.unique(ids, return_inverse=True)
        chosen, sure = self._beside(ascending, 1)
        # Almost always the next one may be found; who has to look past it is few.
        unsure = np.flatnonzero(~sure)
        if len(unsure):
            chosen[unsure], _ = self._beside(ascending[unsure], _REACH)
        return chosen[places]

    def labels(self, ids: Sequence[int]) -> IntArray:
        """What makes memories one episode, int64 [n]; `UNLABELLED` where time does."""
        return self._labels.of(ids)

    def trusts(self, ids: Sequence[int]) -> dict[int, float]:
        """How far to believe each memory, 0 to 1."""
        found: dict[int, float] = {}
        for block, rows in self._snapshot.home.grouped(distinct(np.asarray(ids, dtype=np.int64))):
            trusts = (block.rows.trusts[rows] / FULL_TRUST).tolist()
            found.update(zip(block.rows.ids[rows].tolist(), trusts, strict=True))
        return found

    def surroundings(self, ids: IntArray) -> IntArray:
        """Memories near some in number that may be of the same episodes, ascending; themselves, too.

        They are told within hours of them, or have the same label.
        """
        home = self._snapshot.home
        reach = _AROUND_LABELLED if self._labels else _AROUND
        around = home.around(ids, reach).reshape(len(ids), 2 * reach)
        listed = distinct(np.append(around[around >= 0], ids))
        moments, namespaces = home.moments(listed)
        live = self._snapshot.admits(listed, self._wanted)
        labels = self.labels(listed.tolist())
        at, own = np.searchsorted(listed, around), np.searchsorted(listed, ids)
        fits = (around >= 0) & live[at] & (namespaces[at] == namespaces[own][:, None])
        near = np.abs(moments[at] - moments[own][:, None]) <= _AROUND_MICROSECONDS
        same = labels[at] == labels[own][:, None]
        fits &= same & (near | (labels[at] != UNLABELLED))
        return distinct(np.append(around[fits], ids))

    def _beside(self, ids: IntArray, reach: int) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """The first on each side that may be found and is of the same namespace, unless it was told too long
        before or after; and whether a further reach would change nothing.
        """
        home = self._snapshot.home
        around = home.around(ids, reach)
        listed = distinct(np.append(around[around >= 0], ids))
        moments, namespaces = home.moments(listed)
        live = self._snapshot.admits(listed, self._wanted)
        at, own = np.searchsorted(listed, around), np.searchsorted(listed, ids)
        fits = (around >= 0) & live[at] & (namespaces[at] == namespaces[own][:, None, None])
        first = fits.argmax(axis=2)[:, :, None]
        nearest = np.take_along_axis(around, first, axis=2)[:, :, 0]
        gaps = np.abs(np.take_along_axis(moments[at], first, axis=2)[:, :, 0] - moments[own][:, None])
        found = fits.any(axis=2)
        sure = (found | (around[:, :, -1] < 0)).all(axis=1)
        return np.where(found & (gaps <= _NEAR_MICROSECONDS), nearest, -1), sure


_GONE = Told("", 0, "")
