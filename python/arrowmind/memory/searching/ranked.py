"""A recall whose order is learned: the legs' candidates, what surrounds them, and the signals of all.

The text leg comes first: it tells who speaks in the memories, and the names of speakers are left out of what
the encoder reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.ranking.gathering import Reach, gather
from arrowmind.memory.ranking.question import make_question, names_in, without_names
from arrowmind.memory.ranking.ranker import rank_pool, rerank
from arrowmind.memory.ranking.signals import all_signals
from arrowmind.memory.ranking.strategies import Association, Learned
from arrowmind.memory.ranking.weights import shipped_weights
from arrowmind.memory.searching.fusion import Candidate, Fused
from arrowmind.memory.storage.spaces import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from arrowmind.memory.ranking.pool import Pool
    from arrowmind.memory.ranking.question import Question
    from arrowmind.memory.ranking.strategies import Strategy
    from arrowmind.memory.searching.store_view import StoreMemories
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.blocks import Filter
    from arrowmind.memory.storage.snapshot import Snapshot

    TextLeg = Callable[[Snapshot, list[str], int, Filter], list[tuple[int, float]]]

__all__ = ["Evidence", "Examined", "examine", "order", "remembered", "topic_of"]

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
        return Evidence(self.pool.ids.tolist(), tuple(columns), values)


@dataclass(frozen=True)
class Evidence:
    """What speaks for each memory that may answer a query, for learning weights of one's own.

    Attributes:
        ids: of the memories; n of them.
        names: of the signals.
        values: float32 [n, signals].
    """

    ids: list[int]
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]


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
    """What the encoder reads of a query: all but the names of those who speak in the memories.

    Args:
        query: as it was asked.
        words: what the text leg found.
        memories: the store.
    """
    speakers = {item.speaker for item in memories.told(list(words))}
    return without_names(query, names_in(query, speakers))


def examine(query: str, candidates: Mapping[int, Candidate], memories: StoreMemories, now: int) -> Examined:
    """The pool of a query.

    Args:
        query: as it was asked.
        candidates: what the legs proposed, by id.
        memories: the store.
        now: microseconds since 1970.
    """
    cosines = {id_: max(item.cosine or 0.0, item.part(TEXT)) for id_, item in candidates.items()}
    words = {id_: item.bm25 for id_, item in candidates.items() if item.text_rank is not None}
    speakers = {item.speaker for item in memories.told(list(candidates))}
    question = make_question(query, _EPOCH + timedelta(microseconds=now), speakers)
    return Examined(question, gather(question, cosines, words, memories, Reach()))


def order(
    examined: Examined,
    candidates: Mapping[int, Candidate],
    memories: StoreMemories,
    settings: RecallSettings,
    top_k: int,
) -> list[Fused]:
    """The best of a pool with their parts, best first."""
    question, pool = examined.question, examined.pool
    reranker = settings.reranker
    count = top_k if reranker is None else max(top_k, settings.rerank_depth)
    ranked = rank_pool(question, pool, _strategy(settings), count)
    if reranker is not None:
        texts = [pool.told[item.row].text for item in ranked]
        ranked = rerank(question.text, texts, ranked, reranker, settings.rerank_weight)[:top_k]
    bm25 = pool.bm25
    fused = []
    for item in ranked:
        id_ = int(pool.ids[item.row])
        candidate = candidates.get(id_) or Candidate(id_, bm25=float(bm25[item.row]))
        near = memories.nearest.get(id_)
        if candidate.cosine is None and near is not None:
            candidate.cosine, candidate.window = near.cosine, near.window
        fused.append(Fused(candidate, item.parts))
    return fused


def _strategy(settings: RecallSettings) -> Strategy:
    if settings.fusion == "association":
        return Association(settings.alpha, settings.beta)
    return Learned(settings.weights or shipped_weights())
