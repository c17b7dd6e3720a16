"""Every question of a conversation to a store that remembers it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.bench.memory.measures import Found, found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.bench.memory.conversations import Conversation, Question
    from arrowmind.memory import MemoryStore

__all__ = ["SESSION_HITS", "TURN_HITS", "Answers", "ask", "measure"]

TURN_HITS = 10
"""What is recalled to judge turns."""

SESSION_HITS = 200
"""What is recalled to judge sessions: deep enough for ten of them."""


@dataclass(frozen=True)
class Answers:
    """Of one conversation.

    Attributes:
        found: category and measures of each question.
        seconds: of each recall of ten hits.
    """

    found: list[tuple[str, Found]]
    seconds: list[float]


def ask(store: MemoryStore, places: Mapping[int, int], conversation: Conversation) -> Answers:
    """Recalls each question, ten hits and many."""
    results, seconds = [], []
    for question in conversation.questions:
        began = time.perf_counter()
        hits = store.recall(question.text, TURN_HITS)
        seconds.append(time.perf_counter() - began)
        many = store.recall(question.text, SESSION_HITS)
        turns = [places[hit.id] for hit in hits]
        results.append(measure(conversation, question, turns, [places[hit.id] for hit in many]))
    return Answers(results, seconds)


def measure(
    conversation: Conversation, question: Question, turns: Sequence[int], many: Sequence[int]
) -> tuple[str, Found]:
    """Category and measures of a question.

    Args:
        conversation: where it was asked.
        question: what was asked.
        turns: the first ten turns.
        many: turns of a deeper recall; a session stands where the first of its turns does.
    """
    sessions = list(dict.fromkeys(conversation.turns[place].session for place in many))
    return question.category, found(turns, sessions, question.turns, conversation.sessions_of(question))
