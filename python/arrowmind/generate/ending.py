"""Tokens to text, and the reasons to end: one place that knows both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate.text import Detokenizer, StopMatcher

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.generate.result import FinishReason
    from arrowmind.generate.sampling import SamplingParameters
    from arrowmind.generate.text import TokenPieces

__all__ = ["Ending"]


class Ending:
    """The text of one sequence as it grows, until a token or a text ends it."""

    def __init__(
        self, parameters: SamplingParameters, pieces: TokenPieces | None, eos: Collection[int]
    ) -> None:
        if parameters.stop and pieces is None:
            raise InvalidArgumentError(
                "stop strings need the pieces of the tokens; give them, or use stop_ids"
            )
        self._detokenizer = None if pieces is None else Detokenizer(pieces)
        self._matcher = StopMatcher(tuple(parameters.stop))
        self._stop_ids = frozenset(parameters.stop_ids)
        self._eos = frozenset() if parameters.ignore_eos else frozenset(eos)
        self.reason: FinishReason | None = None
        self.stop: str | int | None = None

    def add(self, token: int) -> str:
        """The text that is certain with `token`; sets `reason` if it ends the sequence."""
        if token in self._eos or token in self._stop_ids:
            self.reason = "eos" if token in self._eos else "stop"
            self.stop = token if self.reason == "stop" else None
            return ""
        return self._passed("" if self._detokenizer is None else self._detokenizer.add(token))

    def finish(self, reason: FinishReason) -> str:
        """What was held back. A stop string that it completes is the reason after all."""
        self.reason = self.reason or reason
        if self._matcher.matched is not None:
            return ""
        text = self._passed("" if self._detokenizer is None else self._detokenizer.finish())
        return text + self._matcher.finish()

    def _passed(self, text: str) -> str:
        text = self._matcher.add(text)
        if self._matcher.matched is not None:
            self.reason, self.stop = "stop", self._matcher.matched
        return text
