"""A recall whose order is learned: the legs' candidates, what surrounds them, and the signals of all.

The text leg comes first: it tells who speaks in the memories, and the encoder reads the query as these would
ask it, without their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.episodes import (
    EPISODE_SIGNALS,
    best_of_each_first,
    episode_signals,
    rank_episodes,
)
from arrowmind.memory.ranking.gathering import Reach, episodes_among, gather
from arrowmind.memory.ranking.question import as_told, make_question, names_in
from arrowmind.memory.ranking.ranker import Ranked, rank_pool
from arrowmind.memory.ranking.signals import all_signals
from arrowmind.memory.ranking.strategies import Association, Learned
from arrowmind.memory.ranking.weights import shipped_episode_weights, shipped_weights
from arrowmind.memory.searching.fusion import Candidate, Fused
from arrowmind.memory.searching.judging import judgements, with_parts
from arrowmind.memory.storage.spaces import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.memory.ranking.episodes import RankedEpisode
    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.strategies import Strategy
    from arrowmind.memory.searching.store_view import StoreMemories
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.blocks import Filter
    from arrowmind.memory.storage.snapshot import Snapshot

    TextLeg = Callable[[Snapshot, list[str], int, Filter], list[tuple[int, float]]]

__all__ = [
    "Evidence",
    "Examined",
    "FusedEpisode",
    "examine",
    "order",
    "order_episodes",
    "remembered",
    "topic_of",
]

# So many episodes are looked through for each that is asked for.
_EPISODES_PER_HIT = 3
# Of one that comes from further behind, what lies around so many of its best.
_SEEDS = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Examined:
    """A question and the memories that may answer it."""

    question: Question
    pool: Pool

    def evidence(self) -> Evidence:
        """Every signal of every memory."""
        columns = {name: signal(self.question, self.pool) for name, signal in all_signals().items()}
        values = np.stack(list(columns.values()), axis=1)
        return Evidence(
            ids=self.pool.ids.tolist(),
            names=tuple(columns),
            values=values,
            episodes=self.pool.episodes,
            episode_names=EPISODE_SIGNALS[1:],
            episode_values=episode_signals(self.question, self.pool),
        )


@dataclass(frozen=True)
class Evidence:
    """What speaks for each memory that may answer a query, for learning weights of one's own.

    Attributes:
        ids: of the memories; n of them.
        names: of the signals.
        values: float32 [n, signals].
        episodes: int64 [n], number of the episode of each memory; m of them.
        episode_names: of the signals of episodes, but the score of the best memory.
        episode_values: float32 [m, signals of episodes].
    """

    ids: list[int]
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    episodes: npt.NDArray[np.int64]
    episode_names: tuple[str, ...]
    episode_values: npt.NDArray[np.float32]


@dataclass(frozen=True)
class FusedEpisode:
    """An episode with its score, which is the sum of the named parts.

    Attributes:
        best: its best memories, best first.
        ids: all its memories that were looked through, ascending.
        span: when the first and the last of them were told, microseconds since 1970.
        parts: of the score.
    """

    best: list[Fused]
    ids: list[int]
    span: tuple[int, int]
    parts: Mapping[str, float]


def remembered(leg: TextLeg) -> TextLeg:
    """The same leg, which gives its last answer again when it is asked the same."""
    last: list[tuple[tuple[object, ...], list[tuple[int, float]]]] = []

    def ask(snapshot: Snapshot, terms: list[str], depth: int, wanted: Filter) -> list[tuple[int, float]]:
        key = (id(snapshot), tuple(terms), depth, wanted)
        if not last or last[0][0] != key:
            last[:] = [(key, leg(snapshot, terms, depth, wanted))]
        return last[0][1]

    return ask


def topic_of(query: str, words: Mapping[int, float], memories: StoreMemories) -> str:
    """What the encoder reads of a query: as those would ask it whom it names of who speak in the memories.

    Args:
        query: as it was asked.
        words: what the text leg found.
        memories: the store.
    """
    speakers = {item.speaker for item in memories.told(list(words))}
    return as_told(query, names_in(query, speakers))


def examine(
    query: str, candidates: Mapping[int, Candidate], memories: StoreMemories, now: int, episodes: int = 0
) -> Examined:
    """The pool of a query.

    Args:
        query: as it was asked.
        candidates: what the legs proposed, by id.
        memories: the store.
        now: microseconds since 1970.
        episodes: how many episodes are asked for; 0 where only memories are.
    """
    cosines = {id_: max(item.cosine or 0.0, item.part(TEXT)) for id_, item in candidates.items()}
    words = {id_: item.bm25 for id_, item in candidates.items() if item.text_rank is not None}
    speakers = {item.speaker for item in memories.told(list(candidates))}
    question = make_question(query, _EPOCH + timedelta(microseconds=now), speakers)
    reach = Reach(episodes=_EPISODES_PER_HIT * episodes)
    return Examined(question, gather(question, cosines, words, memories, reach))


def order(
    examined: Examined,
    candidates: Mapping[int, Candidate],
    memories: StoreMemories,
    settings: RecallSettings,
    top_k: int,
) -> list[Fused]:
    """The best of a pool with their parts, best first."""
    pool = examined.pool
    ranked = rank_pool(examined.question, pool, _strategy(settings), top_k)
    return [_fused(pool, item, candidates, memories) for item in ranked]


def order_episodes(
    examined: Examined,
    candidates: Mapping[int, Candidate],
    memories: StoreMemories,
    settings: RecallSettings,
    top_k: int,
    shown: int,
) -> list[FusedEpisode]:
    """The best episodes of a pool, best first.

    Args:
        examined: question and pool, whose episodes are complete.
        candidates: what the legs proposed, by id.
        memories: the store.
        settings: how memories are weighed.
        top_k: how many episodes.
        shown: of how many memories of each the parts are told.
    """
    question, pool = examined.question, examined.pool
    columns = _strategy(settings).parts(question, pool)
    scores = sum(columns.values(), np.zeros(len(pool), dtype=np.float32))
    listed = pool.ids.tolist()
    reading = [listed[row] for row in best_of_each_first(pool, scores).tolist()]
    more = judgements(question.text, reading, memories, settings)
    for parts in more.values():
        scores = scores + np.array([parts.get(id_, 0.0) for id_ in listed], dtype=np.float32)
    weights = settings.episode_weights or shipped_episode_weights()
    ranked = rank_episodes(question, pool, scores, weights, top_k)
    found: dict[tuple[int, ...], FusedEpisode] = {}
    for episode, ids in zip(ranked, _members(pool, ranked, memories), strict=True):
        best = [
            Ranked(row, {name: float(column[row]) for name, column in columns.items()})
            for row in episode.rows[:shown].tolist()
        ]
        members = [with_parts(_fused(pool, item, candidates, memories), more) for item in best]
        moments = [told.moment for told in memories.told(ids)]
        span = (min(moments), max(moments))
        # Two parts of one may have been ranked before what lies between them was known.
        found.setdefault(tuple(ids), FusedEpisode(members, ids, span, episode.parts))
    return list(found.values())


def _members(pool: Pool, ranked: Sequence[RankedEpisode], memories: StoreMemories) -> list[list[int]]:
    """Ids of the memories of episodes, ascending; around the best of each all is looked through by now."""
    seeds = [pool.ids[item.rows[:_SEEDS]] for item in ranked if not pool.whole[item.rows[0]]]
    if not seeds:
        return [sorted(pool.ids[item.rows].tolist()) for item in ranked]
    known = np.concatenate([pool.ids[item.rows] for item in ranked])
    ids = np.union1d(known, memories.surroundings(np.unique(np.concatenate(seeds))))
    numbers = episodes_among(ids, memories)
    firsts = np.searchsorted(ids, [pool.ids[item.rows[0]] for item in ranked])
    return [ids[numbers == numbers[first]].tolist() for first in firsts.tolist()]


def _fused(pool: Pool, item: Ranked, candidates: Mapping[int, Candidate], memories: StoreMemories) -> Fused:
    id_ = int(pool.ids[item.row])
    candidate = candidates.get(id_) or Candidate(id_, bm25=float(pool.bm25_at(item.row)))
    near = memories.nearest.get(id_)
    if candidate.cosine is None and near is not None:
        candidate.cosine, candidate.window = near.cosine, near.window
    return Fused(candidate, item.parts)


def _strategy(settings: RecallSettings) -> Strategy:
    if settings.fusion == "association":
        return Association(settings.alpha, settings.beta)
    return Learned(settings.weights or shipped_weights())
