"""How parts of a work tell of the whole, so that rate and time left are those of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.observe import Progress

__all__ = ["part_of"]

_UNITS = 100


def part_of(progress: Progress, costs: Sequence[int], at: int, name: str) -> Progress:
    """What one part of a work is to call.

    Args:
        progress: of the whole.
        costs: of all parts, in any unit of time.
        at: which part.
        name: of the work.
    """
    before, whole = _UNITS * sum(costs[:at]), _UNITS * sum(costs)

    def report(done: int, total: int, what: str) -> None:
        del what
        progress(before + _UNITS * costs[at] * done // max(1, total), whole, name)

    return report
