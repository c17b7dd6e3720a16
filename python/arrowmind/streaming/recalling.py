"""Which blocks a question needs: by the words it shares with them, and by what their keys have in common."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError
from arrowmind.streaming.terms import query_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from arrowmind.streaming.part import BlockIndex
    from arrowmind.streaming.store import BlockStore

__all__ = ["Found", "RecallWeights", "find_blocks"]

_BUCKETS = 1 << 16
_RANK_OFFSET = 4


@dataclasses.dataclass(frozen=True)
class RecallWeights:
    """What the two rankings count when they are joined.

    Attributes:
        text: Of the ranking by shared runs of tokens, weighted by their rarity.
        vector: Of the ranking by the cosine of summaries.
    """

    text: float = 1.0
    vector: float = 0.0

    def __post_init__(self) -> None:
        """Raises InvalidArgumentError for a weight below 0, or two of 0."""
        for name, value in (("text_weight", self.text), ("vector_weight", self.vector)):
            if not 0 <= value < float("inf"):
                raise InvalidArgumentError(f"{name} is {value}; use 0 or more")
        if self.text == 0 and self.vector == 0:
            raise InvalidArgumentError("text_weight and vector_weight are 0; give one of them a weight")


@dataclasses.dataclass(frozen=True)
class Found:
    """A block that a question may need.

    Attributes:
        number: Of the block in its store.
        score: Of both rankings together, 0 to 1.
        overlap: Sum of the rarities of the runs of tokens that it shares with the question.
        cosine: Of its summary with the question's; 0 when it was not asked for.
    """

    number: int
    score: float
    overlap: float = 0.0
    cosine: float = 0.0


def find_blocks(
    store: BlockStore,
    tokens: Sequence[int],
    count: int,
    *,
    summary: NDArray[np.float32] | None = None,
    weights: RecallWeights | None = None,
) -> list[Found]:
    """The `count` blocks that a question needs most, in the order of the text.

    The store is read twice, part after part; nothing is kept in between but some candidates.

    Args:
        store: Where to look.
        tokens: The question.
        count: How many.
        summary: float32 [dimension] of the question; None leaves the ranking by summaries out.
        weights: Of the rankings.

    Raises:
        StorageError: A part is damaged.
    """
    weights = weights or RecallWeights()
    if count < 1 or not len(store):
        return []
    text = _by_text(store, query_terms(tokens), 4 * count) if weights.text > 0 and len(tokens) else []
    vector = _by_vector(store, summary, 4 * count) if weights.vector > 0 and summary is not None else []
    best = _joined(text, vector, weights)[:count]
    return sorted(best, key=lambda one: one.number)


def _by_text(store: BlockStore, wanted: NDArray[np.uint32], count: int) -> list[tuple[int, float]]:
    """Blocks with the highest sums of rarities, highest first."""
    holders = np.zeros(len(wanted), np.int64)
    for index in store.scan():
        _, terms = _matches(index, wanted)
        holders += np.bincount(terms, minlength=len(wanted))
    blocks = len(store)
    rarity = np.log(1 + (blocks - holders + 0.5) / (holders + 0.5))
    best: list[tuple[float, int]] = []
    for index in store.scan():
        rows, terms = _matches(index, wanted)
        sums = np.bincount(rows, weights=rarity[terms], minlength=len(index.scales))
        top = np.argsort(-sums, kind="stable")[:count]
        best += [(-float(sums[row]), index.first + int(row)) for row in top if sums[row] > 0]
        best = sorted(best)[:count]
    return [(number, -score) for score, number in best]


def _matches(index: BlockIndex, wanted: NDArray[np.uint32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where terms of the question stand: rows of the index, and places in `wanted`; each pair once."""
    maybe = np.zeros(_BUCKETS, np.bool_)
    maybe[wanted % _BUCKETS] = True
    rows, columns = np.nonzero(maybe[index.terms % _BUCKETS])
    found = index.terms[rows, columns]
    places = np.minimum(np.searchsorted(wanted, found), len(wanted) - 1)
    hits = wanted[places] == found
    return rows[hits], places[hits]


def _by_vector(store: BlockStore, summary: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
    """Blocks with the highest cosines, each less the mean of all, highest first."""
    centre = _mean_summary(store)
    query = _unit(summary - centre)
    best: list[tuple[float, int]] = []
    for index in store.scan():
        lengths, products = _centred(index, centre, query)
        cosines = products / np.maximum(lengths, np.float32(1e-12))
        top = np.argsort(-cosines, kind="stable")[:count]
        best = sorted([*best, *((-float(cosines[row]), index.first + int(row)) for row in top)])[:count]
    return [(number, -cosine) for cosine, number in best]


def _mean_summary(store: BlockStore) -> NDArray[np.float32]:
    """Of all blocks."""
    total = np.zeros(store.identity.dimension)
    for index in store.scan():
        total += index.scales.astype(np.float64) @ index.codes
    return (total / len(store)).astype(np.float32)


def _centred(
    index: BlockIndex, centre: NDArray[np.float32], query: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lengths of summaries less the centre, and their products with the query."""
    products = _native.scan_dot(index.codes, index.scales, query) - centre @ query
    across = _native.scan_dot(index.codes, index.scales, centre)
    squares = np.einsum("ij,ij->i", index.codes, index.codes, dtype=np.int64) * index.scales**2
    lengths = np.sqrt(np.maximum(squares - 2 * across + centre @ centre, 0))
    return lengths.astype(np.float32), products.astype(np.float32)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return vector if length == 0 else (vector / np.float32(length)).astype(np.float32)


def _joined(
    text: list[tuple[int, float]], vector: list[tuple[int, float]], weights: RecallWeights
) -> list[Found]:
    """One ranking: shares fall with the places in both."""
    total = weights.text + weights.vector
    found: dict[int, Found] = {}
    for place, (number, overlap) in enumerate(text):
        found[number] = Found(number, weights.text / total * _share(place), overlap)
    for place, (number, cosine) in enumerate(vector):
        known = found.get(number, Found(number, 0.0))
        score = known.score + weights.vector / total * _share(place)
        found[number] = dataclasses.replace(known, score=score, cosine=cosine)
    return sorted(found.values(), key=lambda one: (-one.score, one.number))


def _share(place: int) -> float:
    return (1 + _RANK_OFFSET) / (1 + place + _RANK_OFFSET)
