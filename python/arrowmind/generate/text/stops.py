"""Texts that end a generation, found while it streams: Aho-Corasick over characters.

After each character the automaton knows the longest end of the text that begins a stop string. Exactly that
much is held back: any character of it may become part of a stop string, and none before it can.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StopMatcher"]


class StopMatcher:
    """Passes text on until a stop string is complete; of several that end together the longest counts."""

    def __init__(self, stops: Sequence[str]) -> None:
        """For `stops`, none of them empty; without any, text passes through."""
        self._stops = tuple(stops)
        self._next: list[dict[str, int]] = [{}]
        self._depth = [0]  # characters of the stop string that a state stands for
        self._match = [0]  # length of the longest stop string that ends in a state
        for stop in self._stops:
            self._insert(stop)
        self._fail = self._failures()
        self._state = 0
        self._held = ""
        self.matched: str | None = None

    def add(self, text: str) -> str:
        """What of the text so far is certain to stand before any stop string, and was not given yet.

        Once `matched` is set, everything was given and further text is ignored.
        """
        if self.matched is not None:
            return ""
        if not self._stops:
            return text
        text, begin = self._held + text, len(self._held)
        for index in range(begin, len(text)):
            self._state = self._step(self._state, text[index])
            length = self._match[self._state]
            if length:
                start = index + 1 - length
                self.matched, self._held = text[start : index + 1], ""
                return text[:start]
        certain = len(text) - self._depth[self._state]
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        return held

    def _step(self, state: int, character: str) -> int:
        while state and character not in self._next[state]:
            state = self._fail[state]
        return self._next[state].get(character, 0)

    def _insert(self, stop: str) -> None:
        state = 0
        for character in stop:
            following = self._next[state].get(character)
            if following is None:
                following = self._next[state][character] = len(self._next)
                self._next.append({})
                self._depth.append(self._depth[state] + 1)
                self._match.append(0)
            state = following
        self._match[state] = len(stop)

    def _failures(self) -> list[int]:
        """For each state the longest other one that it ends with; breadth first, as those are less deep."""
        self._fail = [0] * len(self._next)
        waiting = deque(self._next[0].values())
        while waiting:
            state = waiting.popleft()
            for character, following in self._next[state].items():
                self._fail[following] = self._step(self._fail[state], character)
                waiting.append(following)
            self._match[state] = max(self._match[state], self._match[self._fail[state]])
        return self._fail
