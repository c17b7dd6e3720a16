"""How much is kept of a block: by rules that the user gives, else by how much it differs from the text."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError
from arrowmind.streaming.block import GRADES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from arrowmind.streaming.block import Grade
    from arrowmind.streaming.terms import TermCounts

__all__ = ["Grader", "GradingRules"]

_REMEMBERED = 256
"""Blocks that mean and spread are about of."""
_SETTLED = 32
"""Blocks after which the text is known well enough to tell what is unusual in it."""


@dataclasses.dataclass(frozen=True)
class GradingRules:
    """Which grade a block gets. The first rule that says something holds: marks, patterns, score.

    Attributes:
        keep: Regular expressions; a block in whose text one is found stays exact.
        exact_above: A block stays exact whose score is above this. The score is how rare its runs of tokens
            are in the text so far, in standard deviations from the mean.
        reduced_below: One whose score is below this is reduced.
    """

    keep: tuple[str, ...] = ()
    exact_above: float = 1.0
    reduced_below: float = -1.0

    def __post_init__(self) -> None:
        """Raises InvalidArgumentError for thresholds that cross, or a pattern that is none."""
        if not self.reduced_below <= self.exact_above:
            raise InvalidArgumentError(
                f"reduced_below is {self.reduced_below} and exact_above {self.exact_above}; "
                "the first must not be above the second"
            )
        for pattern in self.keep:
            try:
                re.compile(pattern)
            except re.error as error:
                raise InvalidArgumentError(
                    f"keep has {pattern!r}, which is no regular expression: {error}"
                ) from error


class Grader:
    """Grades the blocks of one text in their order, in constant memory."""

    def __init__(self, rules: GradingRules, counts: TermCounts) -> None:
        """Takes the rules, and the counts of terms that it is to add to."""
        self._rules, self._counts = rules, counts
        self._patterns = [re.compile(pattern) for pattern in rules.keep]
        self._seen, self._mean, self._spread = 0, 0.0, 0.0

    @property
    def needs_text(self) -> bool:
        """Whether the text of blocks is looked at."""
        return bool(self._patterns)

    def grade(self, terms: NDArray[np.uint32], mark: Grade | None = None, text: str = "") -> Grade:
        """The grade of the next block.

        Args:
            terms: Of the block.
            mark: What the user said of a part of it.
            text: Of the block, where `needs_text`.
        """
        score = self._score(terms)
        if mark is not None:
            return mark
        if any(pattern.search(text) for pattern in self._patterns):
            return "exact"
        if score > self._rules.exact_above:
            return "exact"
        return "reduced" if score < self._rules.reduced_below else "quantised"

    def _score(self, terms: NDArray[np.uint32]) -> float:
        """Deviations from the mean of the blocks before; 0 for the first ones.

        Mean and spread forget: the longer a text, the rarer its rare terms.
        """
        rarity = self._counts.rarity(terms)
        self._counts.add(terms)
        step = rarity - self._mean
        deviation = math.sqrt(self._spread)
        score = step / deviation if self._seen >= _SETTLED and deviation > 0 else 0.0
        self._seen += 1
        share = 1 / min(self._seen, _REMEMBERED)
        self._mean += share * step
        self._spread = (1 - share) * (self._spread + share * step * step)
        return score


def check_grade(grade: object) -> None:
    """Raises InvalidArgumentError unless `grade` is one, or None."""
    if grade is not None and grade not in GRADES:
        raise InvalidArgumentError(f"grade is {grade!r}; use one of {', '.join(GRADES)}, or None")
