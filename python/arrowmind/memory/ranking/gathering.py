"""From the hits of the legs to the pool: their neighbours and what they are linked with join them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.lexical import inverse_frequencies, saturations
from arrowmind.memory.ranking.pool import Pool, episodes_of
from arrowmind.memory.ranking.walk import walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from arrowmind.memory.ranking.memories import Memories
    from arrowmind.memory.ranking.question import Question

    IntArray = npt.NDArray[np.int64]
    Shares = npt.NDArray[np.float64]
    Ends = tuple[IntArray, Shares]

__all__ = ["Reach", "episodes_among", "gather"]

# Of the first guess that chooses whose neighbours join: as many points of cosine as the best words are worth.
_WORDS = 0.4
# The walk starts at the better guesses far more often: e times for each so much more of the guess.
_SEED_SCALE = 6.0
# So many of the best guesses of an episode have all around them looked up.
_PER_EPISODE = 2


@dataclass(frozen=True)
class Reach:
    """How far the pool goes beyond the hits.

    Attributes:
        neighbours: best guesses whose neighbours join.
        seeds: best guesses that the walk along links starts from.
        linked: memories that the walk may add.
        episodes: episodes of the best guesses of which all memories join.
    """

    neighbours: int = 50
    seeds: int = 20
    linked: int = 30
    episodes: int = 0


def gather(
    question: Question,
    cosines: Mapping[int, float],
    words: Mapping[int, float],
    memories: Memories,
    reach: Reach,
) -> Pool:
    """The pool of a question.

    Args:
        question: what is asked.
        cosines: hits of the vector leg.
        words: hits of the text leg with their BM25.
        memories: the store.
        reach: how far to go beyond the hits.
    """
    ids = np.array(sorted({*cosines, *words}), dtype=np.int64)
    guesses = _guesses(ids, cosines, words, memories)
    order = np.argsort(-guesses, kind="stable")
    near = memories.neighbours(ids[order[: reach.neighbours]])
    seeds = order[: reach.seeds]
    ends = _walked(ids[seeds], guesses[seeds], memories) if len(ids) else (ids, guesses)
    joined = np.unique(np.concatenate([ids, near[near >= 0], _strongest(ends, ids, reach.linked)]))
    best = ids[:0]
    if reach.episodes:
        best = ids[order][_first_of_each(episodes_among(ids[order], memories), reach.episodes)]
        joined = _completed(joined, best, memories)
    return _fill(joined, best, question, cosines, ends, memories)


def _completed(joined: IntArray, best: IntArray, memories: Memories) -> IntArray:
    """The same with what else was told in the episodes of the best, ascending."""
    around = np.union1d(joined, memories.surroundings(best))
    numbers = episodes_among(around, memories)
    known = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=np.bool_)
    known[numbers[np.isin(around, joined)]] = True
    return around[known[numbers]]


def _first_of_each(episodes: IntArray, count: int) -> IntArray:
    """Places of the first `_PER_EPISODE` of each of the first so many episodes, ascending."""
    distinct, first = np.unique(episodes, return_index=True)
    wanted = distinct[np.argsort(first)[:count]]
    places = [np.flatnonzero(episodes == number)[:_PER_EPISODE] for number in wanted.tolist()]
    return np.sort(np.concatenate(places)) if places else np.empty(0, dtype=np.int64)


def episodes_among(ids: IntArray, memories: Memories) -> IntArray:
    """Numbers the episodes of some memories, int64 [n]."""
    listed = ids.tolist()
    moments = np.array([item.moment for item in memories.told(listed)], dtype=np.int64)
    return episodes_of(moments, memories.labels(listed))


def _guesses(
    ids: IntArray, cosines: Mapping[int, float], words: Mapping[int, float], memories: Memories
) -> Shares:
    known = {**memories.cosines([id_ for id_ in ids.tolist() if id_ not in cosines]), **cosines}
    best = max(words.values(), default=0.0) or 1.0
    listed = [known.get(id_, 0.0) + _WORDS * words.get(id_, 0.0) / best for id_ in ids.tolist()]
    return np.array(listed, dtype=np.float64)


def _walked(ids: IntArray, guesses: Shares, memories: Memories) -> Ends:
    shares = np.exp(_SEED_SCALE * (guesses - guesses.max()))
    return walk(ids, shares, memories.links)


def _strongest(ends: Ends, ids: IntArray, count: int) -> IntArray:
    """Those where the walk ends most often, of those that no leg found."""
    new = np.isin(ends[0], ids, invert=True)
    at, stopped = ends[0][new], ends[1][new]
    return at[np.argsort(-stopped, kind="stable")[:count]]


def _fill(
    ids: IntArray,
    best: IntArray,
    question: Question,
    cosines: Mapping[int, float],
    ends: Ends,
    memories: Memories,
) -> Pool:
    listed = ids.tolist()
    told = memories.told(listed)
    known = {**memories.cosines([id_ for id_ in listed if id_ not in cosines]), **cosines}
    query = list(question.terms)
    statistics = memories.statistics(query)
    near = memories.neighbours(ids)
    linked = _linked(ids, ends)
    episodes = episodes_among(ids, memories)
    return Pool(
        ids=ids,
        told=told,
        cosines=np.array([known.get(id_, 0.0) for id_ in listed], dtype=np.float32),
        held=saturations([item.text for item in told], query, statistics.mean_length),
        rarity=inverse_frequencies(query, statistics),
        before=_rows(ids, near[:, 0]),
        after=_rows(ids, near[:, 1]),
        episodes=episodes,
        linked=linked,
        whole=np.isin(episodes, episodes[np.isin(ids, best)]),
    )


def _linked(ids: IntArray, ends: Ends) -> npt.NDArray[np.float32]:
    """How often the walk ends at each, as a share of where it ends most often."""
    rows = _rows(ends[0], ids)
    stopped = np.append(ends[1], 0.0)[rows]
    shares: npt.NDArray[np.float32] = (stopped / max(float(stopped.max(initial=0.0)), 1e-9)).astype(
        np.float32
    )
    return shares


def _rows(ids: IntArray, wanted: IntArray) -> IntArray:
    """Row of each of some ids among ascending ones, -1 where it is not there."""
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    rows = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[rows] == wanted, rows, -1)
