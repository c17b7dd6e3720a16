"""Weights of signals, learned on all conversations but one and judged on that one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.memory.asking import EPISODES, TURN_HITS, measure
from arrowmind.bench.memory.measures import means
from arrowmind.memory.ranking.episodes import BEST
from arrowmind.memory.ranking.learning import Example, learn
from arrowmind.memory.ranking.weights import scaled_weights, shipped_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.bench.memory.conversations import Conversation, Question
    from arrowmind.bench.memory.measures import Found
    from arrowmind.memory import Evidence, MemoryStore

    Weights = npt.NDArray[np.float64]

__all__ = ["Gathered", "Learned", "gather_evidence", "hold_out", "learn_weights"]

# Hardly a question quotes: nothing could be learned.
_SET_BY_HAND = ("phrases",)


@dataclass(frozen=True)
class Gathered:
    """What speaks for the turns of one conversation, question by question; ids are places of turns.

    Attributes:
        conversation: the conversation.
        shallow: evidence of a recall of ten hits.
        deep: evidence of a recall of ten episodes.
    """

    conversation: Conversation
    shallow: list[Evidence]
    deep: list[Evidence]


@dataclass(frozen=True)
class Learned:
    """Weights of memories and of episodes, by the names of their signals."""

    turns: dict[str, float]
    episodes: dict[str, float]


def gather_evidence(store: MemoryStore, places: Mapping[int, int], conversation: Conversation) -> Gathered:
    """Asks what speaks for each turn."""
    return Gathered(
        conversation,
        [_evidence(store, places, item, TURN_HITS) for item in conversation.questions],
        [_evidence(store, places, item, EPISODES, episodes=True) for item in conversation.questions],
    )


def hold_out(gathered: Sequence[Gathered]) -> dict[str, Any]:
    """Leaves each conversation out once.

    Returns:
        JSON values: ``held_out``, the means over all questions, and ``folds``: weights and means of each.
    """
    results: list[tuple[str, Found]] = []
    folds = []
    for place, judged in enumerate(gathered):
        weights = learn_weights([other for number, other in enumerate(gathered) if number != place])
        found = _judge(judged, weights)
        results += found
        folds.append(
            {
                "conversation": judged.conversation.name,
                "weights": weights.turns,
                "episodes": weights.episodes,
                "means": means(found),
            }
        )
    final = learn_weights(gathered)
    return {
        "held_out": means(results),
        "folds": folds,
        "weights": final.turns,
        "episodes": final.episodes,
    }


def learn_weights(gathered: Sequence[Gathered]) -> Learned:
    """Weights from all questions of some conversations: those of turns first, as episodes build on them."""
    turns = _learn_turns(gathered)
    return Learned(turns, _learn_episodes(gathered, turns))


def _learn_turns(gathered: Sequence[Gathered]) -> dict[str, float]:
    """Of questions that any turn of their pool answers."""
    examples = []
    for each in gathered:
        for question, evidence in zip(each.conversation.questions, each.shallow, strict=True):
            rows = [row for row, place in enumerate(evidence.ids) if place in question.turns]
            if rows:
                examples.append(Example(evidence.values, rows))
    names = gathered[0].shallow[0].names
    learned = dict(zip(names, learn(examples).tolist(), strict=True))
    return {**learned, **{name: shipped_weights()[name] for name in _SET_BY_HAND}}


def _learn_episodes(gathered: Sequence[Gathered], turns: Mapping[str, float]) -> dict[str, float]:
    """Of questions that any episode in question answers."""
    examples = []
    for each in gathered:
        for question, evidence in zip(each.conversation.questions, each.deep, strict=True):
            places = zip(evidence.episodes.tolist(), evidence.ids, strict=True)
            rows = sorted({number for number, place in places if place in question.turns})
            if rows:
                examples.append(Example(_episode_table(evidence, turns), rows))
    names = (BEST, *gathered[0].deep[0].episode_names)
    return dict(zip(names, learn(examples).tolist(), strict=True))


def _episode_table(evidence: Evidence, turns: Mapping[str, float]) -> Weights:
    """Every signal of every episode, the score of its best turn first, float64 [episodes, signals]."""
    best = np.full(len(evidence.episode_values), -np.inf)
    np.maximum.at(best, evidence.episodes, _scores(evidence, turns))
    return np.column_stack([best, evidence.episode_values]).astype(np.float64)


def _scores(evidence: Evidence, turns: Mapping[str, float]) -> Weights:
    scaled = scaled_weights(turns)
    scores: Weights = evidence.values @ np.array([scaled[name] for name in evidence.names])
    return scores


def _judge(judged: Gathered, weights: Learned) -> list[tuple[str, Found]]:
    questions = zip(judged.conversation.questions, judged.shallow, judged.deep, strict=True)
    return [
        measure(
            judged.conversation,
            question,
            _ordered(shallow, weights.turns)[:TURN_HITS],
            _best_of_episodes(deep, weights)[:EPISODES],
        )
        for question, shallow, deep in questions
    ]


def _ordered(evidence: Evidence, turns: Mapping[str, float]) -> list[int]:
    order = np.argsort(-_scores(evidence, turns), kind="stable")
    return [evidence.ids[row] for row in order.tolist()]


def _best_of_episodes(evidence: Evidence, weights: Learned) -> list[int]:
    """A turn of each episode, in the order of the episodes."""
    table = _episode_table(evidence, weights.turns)
    order = np.argsort(-(table @ np.array(list(weights.episodes.values()))), kind="stable")
    turn_of = dict(zip(evidence.episodes.tolist(), evidence.ids, strict=True))
    return [turn_of[number] for number in order.tolist()]


def _evidence(
    store: MemoryStore, places: Mapping[int, int], question: Question, count: int, *, episodes: bool = False
) -> Evidence:
    found = store.evidence(question.text, count, episodes=episodes)
    if found is None:
        raise ValueError(f"no memory for {question.text!r}")
    return replace(found, ids=[places[id_] for id_ in found.ids])
