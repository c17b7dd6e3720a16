"""What was found for a question: of turns and of sessions, any and how much of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ALL", "Found", "Means", "found", "means"]

ALL = "all"


@dataclass(frozen=True)
class Found:
    """Of one question, each from 0 to 1; ``any``: whether something that answers is among the first n,
    ``fraction``: how much of what answers is.
    """

    turn_any1: float
    turn_any5: float
    turn_any10: float
    turn_fraction10: float
    session_any5: float
    session_fraction5: float
    session_fraction10: float


Means = dict[str, dict[str, float]]
"""By category and ``all``: percent of each measure, and the number of ``questions``."""


def found(
    turns: Sequence[int],
    sessions: Sequence[int],
    answer_turns: frozenset[int],
    answer_sessions: frozenset[int],
) -> Found:
    """Measures of one question.

    Args:
        turns: those recalled, best first, each once.
        sessions: those recalled, best first, each once.
        answer_turns: turns that answer; at least one.
        answer_sessions: their sessions.
    """
    return Found(
        turn_any1=_any(turns[:1], answer_turns),
        turn_any5=_any(turns[:5], answer_turns),
        turn_any10=_any(turns[:10], answer_turns),
        turn_fraction10=_fraction(turns[:10], answer_turns),
        session_any5=_any(sessions[:5], answer_sessions),
        session_fraction5=_fraction(sessions[:5], answer_sessions),
        session_fraction10=_fraction(sessions[:10], answer_sessions),
    )


def means(results: Iterable[tuple[str, Found]]) -> Means:
    """Means of all questions and of each category."""
    groups: defaultdict[str, list[Found]] = defaultdict(list)
    for category, result in results:
        groups[ALL].append(result)
        groups[category].append(result)
    return {name: _mean(group) for name, group in sorted(groups.items())}


def _mean(group: Sequence[Found]) -> dict[str, float]:
    names = Found.__dataclass_fields__
    averages = {name: 100 * sum(getattr(item, name) for item in group) / len(group) for name in names}
    return {"questions": len(group), **averages}


def _any(given: Sequence[int], wanted: frozenset[int]) -> float:
    return float(not wanted.isdisjoint(given))


def _fraction(given: Sequence[int], wanted: frozenset[int]) -> float:
    return len(wanted.intersection(given)) / len(wanted)
