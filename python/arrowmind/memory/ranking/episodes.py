"""Episodes: what was told together, ranked as wholes by their best memory and by all that they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.lexical import inverse_frequencies
from arrowmind.memory.ranking.memories import TermStatistics
from arrowmind.memory.ranking.signals.signal import relative

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = [
    "BEST",
    "EPISODE_SIGNALS",
    "RankedEpisode",
    "best_of_each_first",
    "best_of_episodes",
    "episode_signals",
    "rank_episodes",
]

BEST = "best"
"""Name of the signal that depends on the weights of memories: the score of the best of the episode."""

EPISODE_SIGNALS = (BEST, "length", "links", "meaning", "rare_words", "words")
"""What speaks for an episode; all but `BEST` are those of `episode_signals`, in this order."""

_NO_MEANING = -0.2  # of an episode in which the speaker asked for says nothing
_SATURATED = 2.0  # memories that hold a term count half of what any number of them would


@dataclass(frozen=True)
class RankedEpisode:
    """An episode with its score.

    Attributes:
        rows: its memories in the pool, best first.
        parts: what its score is the sum of, by name.
    """

    rows: IntArray
    parts: Mapping[str, float]


def best_of_episodes(pool: Pool, scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The greatest of the scores [n] of the memories of each episode, float64 [episodes]."""
    best = np.full(_count(pool), -np.inf)
    np.maximum.at(best, pool.episodes, scores)
    return best


def best_of_each_first(pool: Pool, scores: npt.NDArray[np.floating]) -> IntArray:
    """Rows of a pool: the best memory of each episode, best first, then all others, best first."""
    order = _best_first(pool, scores)
    _, first = np.unique(pool.episodes[order], return_index=True)
    is_other = np.ones(len(order), dtype=np.bool_)
    is_other[first] = False
    return np.concatenate([order[~is_other], order[is_other]])


def episode_signals(question: Question, pool: Pool) -> FloatArray:
    """Every signal but `BEST`, float32 [episodes, signals]; ``length`` to ``words`` of `EPISODE_SIGNALS`.

    ``length`` is the logarithm of its characters over a thousand, ``links`` the mean share of the walk,
    ``meaning`` the best cosine, of what the speaker says whom the query names, ``rare_words`` BM25 with the
    episode as the document, as a share of the best, and ``words`` the mean share of words of its memories:
    a long episode holds more of everything by chance.
    """
    columns = [
        np.log(np.maximum(_sums(pool, _lengths(pool)), 1) / 1000),
        _means(pool, np.sqrt(pool.linked)),
        np.maximum(best_of_episodes(pool, _of_speaker(question, pool)), _NO_MEANING),
        relative(_rare_words(question, pool)),
        _means(pool, relative(pool.bm25)),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def rank_episodes(
    question: Question,
    pool: Pool,
    scores: npt.NDArray[np.floating],
    weights: Mapping[str, float],
    count: int,
) -> list[RankedEpisode]:
    """The best episodes of a pool, best first; equal ones in the order of their best memories.

    Args:
        question: what is asked.
        pool: memories that may answer, with all others of the episodes in question.
        scores: of the memories, [n].
        weights: by the names of `EPISODE_SIGNALS`.
        count: how many.
    """
    if not len(pool):
        return []
    best = best_of_episodes(pool, scores)
    columns = dict(
        zip(EPISODE_SIGNALS, np.column_stack([best, episode_signals(question, pool)]).T, strict=True)
    )
    parts = {name: weights.get(name, 0.0) * column for name, column in columns.items()}
    order = np.lexsort((-best, -np.sum(list(parts.values()), axis=0)))[:count]
    rows = _best_first(pool, scores)
    return [
        RankedEpisode(
            rows[pool.episodes[rows] == number],
            {name: float(part[number]) for name, part in parts.items()},
        )
        for number in order.tolist()
    ]


def _best_first(pool: Pool, scores: npt.NDArray[np.floating]) -> IntArray:
    return np.lexsort((pool.ids, -np.asarray(scores, dtype=np.float64)))


def _count(pool: Pool) -> int:
    return int(pool.episodes.max(initial=-1)) + 1


def _sums(pool: Pool, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.bincount(pool.episodes, values, minlength=_count(pool)).astype(np.float64)


def _means(pool: Pool, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return _sums(pool, values) / np.maximum(np.bincount(pool.episodes, minlength=_count(pool)), 1)


def _lengths(pool: Pool) -> npt.NDArray[np.float64]:
    return np.array([len(item.text) for item in pool.told], dtype=np.float64)


def _of_speaker(question: Question, pool: Pool) -> FloatArray:
    """Cosines; of the one speaker whom the query names, if it names one."""
    if len(question.speakers) != 1:
        return pool.cosines
    own = np.array([item.speaker in question.speakers for item in pool.told], dtype=np.bool_)
    return np.where(own, pool.cosines, np.float32(_NO_MEANING))


def _rare_words(question: Question, pool: Pool) -> FloatArray:
    """Terms that few episodes of the pool hold, those that several memories of one hold more."""
    held = np.stack([_sums(pool, column) for column in pool.held.T]) if pool.held.size else np.empty((0, 0))
    terms = list(question.terms)
    holders = dict(zip(terms, (held > 0).sum(axis=1).tolist(), strict=False))
    rare = inverse_frequencies(terms, TermStatistics(_count(pool), 0.0, holders))
    if not held.size:
        return np.zeros(_count(pool), dtype=np.float32)
    sums: FloatArray = ((held / (held + _SATURATED)).T @ rare).astype(np.float32)
    return sums
