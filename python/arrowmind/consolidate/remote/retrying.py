"""Asks again when it may help, and never faster than allowed."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arrowmind.errors import ProviderError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arrowmind.consolidate.remote.base import Completion, Message, Provider

__all__ = ["Patience", "Retrying"]

_log = get_logger(__name__)
_MINUTE = 60.0


@dataclass(frozen=True)
class Patience:
    """How often to ask.

    Attributes:
        attempts: requests for one answer, at most.
        first_wait: longest wait before the second one, seconds; it doubles from one to the next.
        longest_wait: of those.
        most_seconds: of waiting between attempts, together.
        requests_per_minute: 0 for no bound.
    """

    attempts: int = 4
    first_wait: float = 1.0
    longest_wait: float = 60.0
    most_seconds: float = 300.0
    requests_per_minute: int = 0


class Retrying:
    """A provider with patience. Waits are drawn evenly from zero up, so that clients do not beat in time.

    Args:
        provider: the one that is asked.
        patience: how often.
        sleep: waits; for tests.
        clock: seconds that only grow; for tests.
        random_source: of the jitter.
    """

    def __init__(
        self,
        provider: Provider,
        patience: Patience,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random_source: random.Random | None = None,
    ) -> None:
        self._provider = provider
        self._patience = patience
        self._sleep = sleep
        self._clock = clock
        self._random = random_source or random.Random()
        self._asked: deque[float] = deque()

    @property
    def name(self) -> str:
        """That of the provider."""
        return self._provider.name

    def complete(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None,
        *,
        max_tokens: int,
        timeout: float,
    ) -> Completion:
        """As `Provider.complete`; `timeout` holds for each attempt."""
        waited = 0.0
        for attempt in range(1, self._patience.attempts + 1):
            self._keep_rate()
            try:
                return self._provider.complete(messages, schema, max_tokens=max_tokens, timeout=timeout)
            except ProviderError as error:
                wait = self._wait(attempt, error)
                is_last = attempt == self._patience.attempts or not error.is_passing
                if is_last or waited + wait > self._patience.most_seconds:
                    raise
                _log.info("provider_failed", provider=self.name, attempt=attempt, wait=wait, error=str(error))
            self._sleep(wait)
            waited += wait
        raise ProviderError(
            f"{self.name}: {self._patience.attempts} attempts allow no request; give 1 or more"
        )

    def _wait(self, attempt: int, error: ProviderError) -> float:
        bound = min(self._patience.first_wait * 2 ** (attempt - 1), self._patience.longest_wait)
        return max(self._random.uniform(0, bound), error.after or 0.0)

    def _keep_rate(self) -> None:
        rate = self._patience.requests_per_minute
        if rate <= 0:
            return
        now = self._clock()
        while self._asked and now - self._asked[0] >= _MINUTE:
            self._asked.popleft()
        if len(self._asked) >= rate:
            self._sleep(_MINUTE - (now - self._asked[0]))
            self._asked.popleft()
        self._asked.append(self._clock())
