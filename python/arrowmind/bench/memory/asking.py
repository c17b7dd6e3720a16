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

__all__ = ["EPISODES", "TURN_HITS", "Answers", "ask", "measure"]

TURN_HITS = 10
"""What is recalled to judge turns."""

EPISODES = 10
"""What is recalled to judge sessions: an hour without a word ends an episode, and a session here."""


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
    """Recalls ten hits and ten episodes for each question."""
    results, seconds = [], []
    for question in conversation.questions:
        began = time.perf_counter()
        hits = store.recall(question.text, TURN_HITS)
        seconds.append(time.perf_counter() - began)
        episodes = store.recall_episodes(question.text, EPISODES, hits=1)
        turns = [places[hit.id] for hit in hits]
        best = [places[episode.hits[0].id] for episode in episodes]
        results.append(measure(conversation, question, turns, best))
    return Answers(results, seconds)


def measure(
    conversation: Conversation, question: Question, turns: Sequence[int], best: Sequence[int]
) -> tuple[str, Found]:
    """Category and measures of a question.

    Args:
        conversation: where it was asked.
        question: what was asked.
        turns: the first ten turns.
        best: a turn of each of the first ten episodes.
    """
    sessions = list(dict.fromkeys(conversation.turns[place].session for place in best))
    return question.category, found(turns, sessions, question.turns, conversation.sessions_of(question))
