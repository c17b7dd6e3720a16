"""What ranking asks of a store, for one query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]
    FloatArray = npt.NDArray[np.float32]

__all__ = ["Edges", "Memories", "TermStatistics", "Told"]


@dataclass(frozen=True)
class Edges:
    """Links from some memories to others; m of them.

    Attributes:
        sources: int64 [m].
        targets: int64 [m].
        weights: float64 [m], above 0.
    """

    sources: IntArray
    targets: IntArray
    weights: npt.NDArray[np.float64]

    def chosen(self, kept: npt.NDArray[np.bool_]) -> Edges:
        """Some of them."""
        return Edges(self.sources[kept], self.targets[kept], self.weights[kept])


@dataclass(frozen=True)
class TermStatistics:
    """Of the memories that words are compared with.

    Attributes:
        records: how many memories there are.
        mean_length: their mean number of terms.
        holders: memories that hold each term of the query.
    """

    records: int
    mean_length: float
    holders: Mapping[str, int]


class Told(NamedTuple):
    """What ranking reads of a memory: its text, when it happened (microseconds since 1970), who spoke."""

    text: str
    moment: int
    speaker: str


class Memories(Protocol):
    """A store at one moment, with the vector of the query."""

    def told(self, ids: Sequence[int]) -> list[Told]:
        """The memories with these ids, in the same order; all of them exist."""

    def neighbours(self, ids: IntArray) -> IntArray:
        """The memories told before and after each, int64 [n, 2]; -1 where there is none that may be found."""

    def surroundings(self, ids: IntArray) -> IntArray:
        """Memories told near some that may be of the same episodes, ascending; themselves, too."""

    def labels(self, ids: Sequence[int]) -> IntArray:
        """What makes memories one episode, int64 [n]; `UNLABELLED` where time does."""

    def cosines(self, ids: Sequence[int]) -> Mapping[int, float]:
        """Cosine of each memory and the query; empty without a vector."""

    def statistics(self, terms: Sequence[str]) -> TermStatistics:
        """How common terms are."""

    def links(self, ids: IntArray) -> Edges:
        """What some memories are linked with; both ends may be found."""
