"""What one run may spend: tokens and seconds. Requests per minute are the provider's (`Patience`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Budget"]


class Budget:
    """Counts what is spent. Looked at before each group, so that a run ends between two of them.

    Args:
        tokens: read and written, together; 0 for no bound.
        seconds: of the run; 0 for no bound.
        clock: seconds that only grow; for tests.
    """

    def __init__(self, tokens: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._seconds = seconds
        self._clock = clock
        self._start = clock()
        self.tokens_in = 0
        self.tokens_out = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._start

    def spend(self, tokens_in: int, tokens_out: int) -> None:
        """Counts tokens."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    def spent(self) -> str | None:
        """What is used up, if anything is."""
        used = self.tokens_in + self.tokens_out
        if self._tokens and used >= self._tokens:
            return f"{used} of {self._tokens} tokens are spent"
        if self._seconds and self.seconds >= self._seconds:
            return f"{self._seconds:g} seconds are over"
        return None

    def max_tokens(self, wanted: int) -> int:
        """Tokens that one answer may have, at least 1."""
        if not self._tokens:
            return wanted
        return max(1, min(wanted, self._tokens - self.tokens_in - self.tokens_out))

    def timeout(self, wanted: float) -> float:
        """Seconds that one answer may take, at least one."""
        return max(1.0, min(wanted, self._seconds - self.seconds)) if self._seconds else wanted
