"""The memories in question, as columns that signals read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.tellings import count_tellings

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.memory.ranking.memories import Told

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = ["UNLABELLED", "Pool", "episodes_of"]

EPISODE_SECONDS = 3600
"""Memories of the pool that lie no further apart in time belong to one episode."""

UNLABELLED = -1
"""Label of a memory that shares nothing but its time with others."""


@dataclass(frozen=True)
class Pool:
    """Memories that may answer; n of them.

    Attributes:
        ids: int64 [n], ascending.
        told: text, moment and speaker of each.
        cosines: float32 [n], 0 without a vector of the query.
        held: float32 [n, terms], BM25 saturation of each term of the query.
        rarity: float32 [terms], weight of each term.
        before: int64 [n], row of the memory told just before, -1 if it is not in the pool.
        after: int64 [n], of the one just after.
        episodes: int64 [n], number of the episode.
        linked: float32 [n], how much of the walk along links from the best ends here, 0 to 1.
        whole: bool [n], whether it is of an episode around whose best all was looked through.
    """

    ids: IntArray
    told: list[Told]
    cosines: FloatArray
    held: FloatArray
    rarity: FloatArray
    before: IntArray
    after: IntArray
    episodes: IntArray
    linked: FloatArray
    whole: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def tellings(self) -> npt.NDArray[np.int32]:
        """Words of oneself, words of the past and proper names of each, int32 [n, 3]."""
        return count_tellings(self.told)

    @property
    def bm25(self) -> FloatArray:
        """float32 [n]."""
        scores: FloatArray = self.held @ self.rarity
        return scores

    def bm25_at(self, row: int) -> float:
        """BM25 of one memory."""
        return float(self.held[row] @ self.rarity)

    def of_neighbour(self, values: FloatArray, rows: IntArray) -> FloatArray:
        """A column taken from neighbours, 0 where there is none.

        Args:
            values: the column, float32 [n].
            rows: ``before`` or ``after``.
        """
        taken: FloatArray = np.where(rows >= 0, values[rows], np.float32(0))
        return taken

    def of_episode(self, values: FloatArray) -> FloatArray:
        """The greatest value in the episode of each memory; float32 [n] or [n, columns], as ``values``."""
        count = int(self.episodes.max(initial=-1)) + 1
        best = np.full((count, *values.shape[1:]), -np.inf, dtype=np.float32)
        np.maximum.at(best, self.episodes, values)
        return best[self.episodes]


def episodes_of(moments: IntArray, labels: IntArray) -> IntArray:
    """Numbers the episodes of some memories; int64 [n].

    Args:
        moments: when they were told, int64 [n], microseconds.
        labels: int64 [n]; those of one label are one episode, whenever they were told. Among those that are
            `UNLABELLED` a gap of more than an hour begins a new one.
    """
    order = np.lexsort((moments, labels))
    later = np.diff(moments[order], prepend=moments[order[:1]]) > EPISODE_SECONDS * 1_000_000
    other = np.diff(labels[order], prepend=labels[order[:1]]) != 0
    numbers = np.empty(len(moments), dtype=np.int64)
    numbers[order] = np.cumsum(other | (later & (labels[order] == UNLABELLED)))
    return numbers
