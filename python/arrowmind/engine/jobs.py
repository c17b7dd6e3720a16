"""What a scheduler works on: a sequence, who waits for its tokens, and the decoder that gives logits."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind.engine.peaks import RowPeaks
    from arrowmind.generate import CandidateNeed, Candidates, Delta, TokenSequence

__all__ = ["BatchDecoder", "Consumer", "Job"]

_numbers = itertools.count()


class BatchDecoder(Protocol):
    """A model with a cache of many sequences, each known by a handle. Used by one thread at a time."""

    @property
    def vocabulary(self) -> int:
        """Length of a row of logits."""

    @property
    def window(self) -> int:
        """Most tokens of a sequence."""

    @property
    def free_tokens(self) -> int:
        """Tokens that the cache has room for, of all sequences together."""

    def step_tokens(self, tokens: int) -> int:
        """Tokens of prompts to read at a time now, where the CPU is to read `tokens`."""

    def start(self) -> int:
        """A new, empty sequence."""

    def append(self, feeds: Sequence[tuple[int, Sequence[int], int]]) -> list[NDArray[np.float32]]:
        """Appends tokens to sequences: (handle, tokens, rows) of each.

        Returns:
            For each float32 [rows, vocabulary]: the logits after each of its last `rows` tokens.

        Raises:
            CacheFullError: The cache has no room; nothing was appended.
        """

    @property
    def gives_peaks(self) -> bool:
        """Whether `append_peaks` costs less than `append`."""

    def append_peaks(self, feeds: Sequence[tuple[int, Sequence[int], int]]) -> list[RowPeaks]:
        """As `append`, of each row the highest logit."""

    def append_candidates(
        self, feeds: Sequence[tuple[int, Sequence[int], int]], needs: Sequence[CandidateNeed | None]
    ) -> list[Candidates | NDArray[np.float32]]:
        """As `append`, of each row what its feed needs; None: the row."""

    def forget(self, handle: int, count: int) -> None:
        """Drops the last `count` tokens."""

    def fork(self, handle: int, tokens: int) -> int:
        """A new sequence that shares the first `tokens` tokens; fewer where so many cannot be shared."""

    def close(self, handle: int) -> None:
        """Frees a sequence."""

    def length(self, handle: int) -> int:
        """Tokens of a sequence."""


class Consumer(Protocol):
    """Who gets the tokens. Called by the scheduler's thread, so it must not block."""

    def add(self, delta: Delta) -> None:
        """Takes what a run of the decoder added. Raises when nobody is there any more."""

    def finish(self, error: Exception | None) -> None:
        """There is no more: the sequence ended, was cancelled, or failed with `error`."""


class Job:
    """A sequence on its way through a scheduler.

    Attributes:
        sequence: What is generated.
        consumer: Who gets it.
        number: Order of arrival.
        is_cancelled: Nobody wants it any more.
        handle: Its sequence in the decoder while it has one.
        fed: Tokens that the decoder's cache holds.
        pending: Tokens to feed before the sequence can go on.
        rows: Logits needed, after each of the last `rows` of `pending`.
        is_alone: No other sequence was run beside it.
    """

    def __init__(self, sequence: TokenSequence, consumer: Consumer) -> None:
        self.sequence, self.consumer = sequence, consumer
        self.number = next(_numbers)
        self.is_cancelled = False
        self.is_alone = True
        self.handle: int | None = None
        self.fed: list[int] = []
        self.pending = list(sequence.prompt)
        self.rows = 1
        self._has_begun = False

    @property
    def is_writing(self) -> bool:
        """Whether its next run gives tokens whatever its size: its prompt is read."""
        return len(self.pending) <= self.rows

    @property
    def sharable(self) -> list[int]:
        """Pending tokens that another sequence's cache may stand for: all whose logits are not needed."""
        return self.pending[: -self.rows]

    def begin(self, handle: int, shared: int) -> None:
        """Takes its place in the decoder, where the first `shared` pending tokens are already."""
        if not self._has_begun:
            self.sequence.feed()  # the prompt, which is pending; its clock starts
            self._has_begun = True
        self.handle = handle
        self.fed, self.pending = self.pending[:shared], self.pending[shared:]

    def renew(self) -> None:
        """Asks the sequence what to feed next, if nothing is pending."""
        if not self.pending:
            feed = self.sequence.feed()
            self.pending, self.rows = list(feed.tokens), feed.rows

    def part(self, most: int) -> int:
        """How many pending tokens to feed at once: up to `most`, and the last `rows` together."""
        count = len(self.pending)
        return count if count <= max(most, self.rows) else min(most, count - self.rows)

    def take_back(self) -> None:
        """The cache was taken away: everything is to be fed again, which gives the same bits."""
        self.pending, self.fed, self.handle = self.fed + self.pending, [], None
