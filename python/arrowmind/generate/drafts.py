"""Proposals for the next tokens, which the model checks in one run.

A token is kept if it is the one the sampler chooses there, and the random number of a position does not
depend on how it was reached. So drafts change no output, greedy or not; wrong ones cost time only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["DraftProposer", "PromptLookup"]


class DraftProposer(Protocol):
    """Guesses what comes next in one sequence."""

    def extend(self, tokens: Sequence[int]) -> None:
        """Takes the tokens that follow: first the prompt, then what was generated."""

    def propose(self, limit: int) -> Sequence[int]:
        """At most `limit` tokens to come; none where there is no good guess."""


class PromptLookup:
    """What followed the last time that the sequence ended like now (prompt lookup decoding)."""

    def __init__(self, longest: int = 3, shortest: int = 2, most: int = 8, remembered: int = 1 << 16) -> None:
        """Without a sequence.

        Args:
            longest: Tokens at the end of the sequence that are looked for first.
            shortest: Fewest that are looked for.
            most: Most tokens to propose.
            remembered: Tokens that are looked at, the last ones; twice as many are kept at most.

        Raises:
            InvalidArgumentError: A number is out of bounds.
        """
        self._longest = checks.whole("longest", longest, 1, 16)
        self._shortest = checks.whole("shortest", shortest, 1, 16)
        if self._shortest > self._longest:
            raise InvalidArgumentError(f"shortest is {shortest}; use at most longest, which is {longest}")
        self._most = checks.whole("most", most, 1, 64)
        self._remembered = checks.whole("remembered", remembered, 64, 1 << 24)
        self._tokens: list[int] = []
        self._places: dict[tuple[int, ...], int] = {}  # of what followed these tokens last

    def extend(self, tokens: Sequence[int]) -> None:
        """Takes the tokens that follow."""
        self._learn(tokens)
        if len(self._tokens) > 2 * self._remembered:
            kept = self._tokens[-self._remembered :]
            self._tokens, self._places = [], {}
            self._learn(kept)

    def propose(self, limit: int) -> Sequence[int]:
        """At most `limit` tokens to come."""
        for length in range(min(self._longest, len(self._tokens)), self._shortest - 1, -1):
            place = self._places.get(tuple(self._tokens[-length:]))
            if place is not None:
                return self._tokens[place : place + max(0, min(limit, self._most))]
        return []

    def _learn(self, tokens: Iterable[int]) -> None:
        for token in tokens:
            end = len(self._tokens)
            for length in range(self._shortest, min(self._longest, end) + 1):
                self._places[tuple(self._tokens[end - length :])] = end
            self._tokens.append(token)
