"""The interface of a cached decoder over a model without a cache: everything is computed anew in each run."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import CacheFullError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.language import LanguageModel

__all__ = ["RecomputeDecoder"]


class RecomputeDecoder:
    """Sequences as lists of tokens; right, and slow."""

    def __init__(self, model: LanguageModel, max_tokens: int | None = None) -> None:
        """Without sequences.

        Args:
            model: Gives the logits.
            max_tokens: Room of all sequences together; None is the model's window.
        """
        self._model = model
        self.vocabulary, self.window = model.model.vocabulary, model.max_tokens
        self._capacity = max_tokens or self.window
        self._sequences: dict[int, list[int]] = {}
        self._handles = itertools.count(1)

    @property
    def free_tokens(self) -> int:
        """Room that is left, in tokens."""
        return self._capacity - sum(map(len, self._sequences.values()))

    def start(self) -> int:
        """A new, empty sequence."""
        handle = next(self._handles)
        self._sequences[handle] = []
        return handle

    def append(self, feeds: Sequence[tuple[int, Sequence[int], int]]) -> list[NDArray[np.float32]]:
        """Appends tokens; for each float32 [rows, vocabulary]."""
        needed = sum(len(tokens) for _, tokens, _ in feeds)
        if needed > self.free_tokens:
            raise CacheFullError(
                f"no room for {needed} tokens beside those there; {self.free_tokens} are free"
            )
        whole = [[*self._sequences[handle], *tokens] for handle, tokens, _ in feeds]
        for ids in whole:
            self._model.check(ids)
        states = self._model.states(whole)
        logits = [self._logits(rows[len(rows) - feed[2] :]) for rows, feed in zip(states, feeds, strict=True)]
        for (handle, _, _), ids in zip(feeds, whole, strict=True):
            self._sequences[handle] = ids
        return logits

    def _logits(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._model.logits(states) if len(states) else np.empty((0, self.vocabulary), np.float32)

    def forget(self, handle: int, count: int) -> None:
        """Drops the last `count` tokens."""
        tokens = self._sequences[handle]
        del tokens[len(tokens) - count :]

    def fork(self, handle: int, tokens: int) -> int:
        """A new sequence with the first `tokens` tokens of another one."""
        if tokens > self.free_tokens:
            raise CacheFullError(f"no room for {tokens} tokens; {self.free_tokens} are free")
        forked = self.start()
        self._sequences[forked] = self._sequences[handle][:tokens]
        return forked

    def close(self, handle: int) -> None:
        """Frees a sequence."""
        del self._sequences[handle]

    def length(self, handle: int) -> int:
        """Tokens of a sequence."""
        return len(self._sequences[handle])
