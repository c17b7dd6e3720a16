"""Every question of a conversation to a store that remembers it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.bench.memory.measures import Found, found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.bench.memory.conversations import Conversation
    from arrowmind.memory import MemoryStore

__all__ = ["Answers", "ask", "sessions_in_order"]

# Deep enough for ten sessions among the hits.
_DEPTH = 200


@dataclass(frozen=True)
class Answers:
    """Of one conversation.

    Attributes:
        found: category and measures of each question.
        seconds: of each recall.
    """

    found: list[tuple[str, Found]]
    seconds: list[float]


def ask(store: MemoryStore, places: Mapping[int, int], conversation: Conversation) -> Answers:
    """Recalls each question; a session stands where the first of its turns does."""
    results, seconds = [], []
    for question in conversation.questions:
        began = time.perf_counter()
        hits = store.recall(question.text, _DEPTH)
        seconds.append(time.perf_counter() - began)
        turns = [places[hit.id] for hit in hits]
        sessions = sessions_in_order(turns, conversation)
        measured = found(turns, sessions, question.turns, conversation.sessions_of(question))
        results.append((question.category, measured))
    return Answers(results, seconds)


def sessions_in_order(turns: Sequence[int], conversation: Conversation) -> list[int]:
    """Sessions of turns, each where it appears first."""
    return list(dict.fromkeys(conversation.turns[place].session for place in turns))
