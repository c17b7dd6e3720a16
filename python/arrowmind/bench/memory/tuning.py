"""Weights of signals, learned on all conversations but one and judged on that one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.memory.asking import SESSION_HITS, TURN_HITS, measure
from arrowmind.bench.memory.measures import means
from arrowmind.memory.ranking.learning import Example, learn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.bench.memory.conversations import Conversation, Question
    from arrowmind.bench.memory.measures import Found
    from arrowmind.memory import Evidence, MemoryStore

    Weights = npt.NDArray[np.float64]

__all__ = ["Gathered", "gather_evidence", "hold_out", "learn_weights"]


@dataclass(frozen=True)
class Gathered:
    """What speaks for the turns of one conversation, question by question; ids are places of turns.

    Attributes:
        conversation: the conversation.
        shallow: evidence of a recall of ten hits.
        deep: evidence of a recall of many.
    """

    conversation: Conversation
    shallow: list[Evidence]
    deep: list[Evidence]


def gather_evidence(store: MemoryStore, places: Mapping[int, int], conversation: Conversation) -> Gathered:
    """Asks what speaks for each turn."""
    tables = [
        [_evidence(store, places, question, count) for question in conversation.questions]
        for count in (TURN_HITS, SESSION_HITS)
    ]
    return Gathered(conversation, *tables)


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
                "weights": _named(judged, weights),
                "means": means(found),
            }
        )
    return {
        "held_out": means(results),
        "folds": folds,
        "weights": _named(gathered[0], learn_weights(gathered)),
    }


def learn_weights(gathered: Sequence[Gathered]) -> Weights:
    """Weights from all questions of some conversations that any turn of their pool answers."""
    examples = []
    for each in gathered:
        for question, evidence in zip(each.conversation.questions, each.shallow, strict=True):
            rows = [row for row, place in enumerate(evidence.ids) if place in question.turns]
            if rows:
                examples.append(Example(evidence.values, rows))
    return learn(examples)


def _judge(judged: Gathered, weights: Weights) -> list[tuple[str, Found]]:
    questions = zip(judged.conversation.questions, judged.shallow, judged.deep, strict=True)
    return [
        measure(
            judged.conversation,
            question,
            _ordered(shallow, weights)[:TURN_HITS],
            _ordered(deep, weights)[:SESSION_HITS],
        )
        for question, shallow, deep in questions
    ]


def _ordered(evidence: Evidence, weights: Weights) -> list[int]:
    order = np.argsort(-(evidence.values @ weights), kind="stable")
    return [evidence.ids[row] for row in order.tolist()]


def _evidence(store: MemoryStore, places: Mapping[int, int], question: Question, count: int) -> Evidence:
    found = store.evidence(question.text, count)
    if found is None:
        raise ValueError(f"no memory for {question.text!r}")
    return type(found)([places[id_] for id_ in found.ids], found.names, found.values)


def _named(gathered: Gathered, weights: Weights) -> dict[str, float]:
    return dict(zip(gathered.shallow[0].names, weights.tolist(), strict=True))
