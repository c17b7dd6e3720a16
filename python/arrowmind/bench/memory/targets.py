"""What recall is held to on the development conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.bench.memory.measures import ALL
from arrowmind.bench.targets import Verdict

if TYPE_CHECKING:
    from arrowmind.bench.memory.measures import Means

__all__ = ["judge_memory"]

_TARGETS = (
    ("session_fraction10", "sessions that answer, among the first ten", 97.0),
    ("turn_any10", "a turn that answers, among the first ten", 88.0),
    ("turn_fraction10", "turns that answer, among the first ten", 82.0),
)


def judge_memory(held_out: Means) -> list[Verdict]:
    """Hold means against the numbers; the weights never saw the conversation of the question they rank."""
    row = held_out[ALL]
    return [
        Verdict(what, f">= {least:g} %", f"{row[name]:.1f} %", row[name] >= least)
        for name, what, least in _TARGETS
    ]
