"""One sequence between decoder runs: what to feed next, and what to make of the logits.

It does not run the decoder. Whoever does may hold many sequences, feed those that are there together, and let
them come and go; `decode` is the loop for one. After each run the decoder's cache holds the prompt and all
tokens generated but the last.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass
from arrowmind.generate import checks
from arrowmind.generate.ending import Ending
from arrowmind.generate.result import Delta, FinishReason, Generation, Timings
from arrowmind.generate.sampling import CandidateRow, Candidates, Peak, Peaks, Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from arrowmind.generate.constraint import TokenConstraint
    from arrowmind.generate.drafts import DraftProposer
    from arrowmind.generate.sampling import CandidateNeed, Choice, SamplingParameters
    from arrowmind.generate.text import TokenPieces

__all__ = ["Decoder", "Feed", "FunctionDecoder", "TokenSequence", "decode"]

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Feed:
    """What the decoder is to append to its cache.

    Attributes:
        tokens: Ids; the whole prompt at first.
        rows: Logits are needed after each of the last `rows` of them.
    """

    tokens: tuple[int, ...]
    rows: int


class Decoder(Protocol):
    """A model with a cache of one sequence."""

    def append(self, tokens: Sequence[int], rows: int) -> Logits:
        """Appends tokens; float32 [rows, vocabulary]: the logits after each of the last `rows`."""

    def forget(self, count: int) -> None:
        """Drops the last `count` tokens from the cache."""


class FunctionDecoder:
    """A function of the appended tokens that gives float32 [vocabulary]. It cannot check drafts."""

    def __init__(self, next_logits: Callable[[Sequence[int]], Logits]) -> None:
        self._next_logits = next_logits

    def append(self, tokens: Sequence[int], rows: int) -> Logits:
        """The logits after the last of `tokens`, float32 [1, vocabulary]."""
        if rows != 1:
            raise InvalidArgumentError(f"{rows} rows of a function that gives one; generate without drafts")
        return self._next_logits(tokens)[np.newaxis]

    def forget(self, count: int) -> None:
        """Cannot be asked for, as there are no drafts."""
        raise InvalidArgumentError(f"a function cannot forget {count} tokens; generate without drafts")


class TokenSequence:
    """A prompt and what is generated after it."""

    def __init__(
        self,
        prompt: Sequence[int],
        parameters: SamplingParameters,
        vocabulary: int,
        *,
        pieces: TokenPieces | None = None,
        eos: Collection[int] = (),
        window: int | None = None,
        constraint: TokenConstraint | None = None,
        drafts: DraftProposer | None = None,
        stream: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """A sequence before its first token.

        Args:
            prompt: Token ids, at least one.
            parameters: How to choose and when to stop.
            vocabulary: Length of a row of logits.
            pieces: Bytes of the tokens; without them there is no text.
            eos: Ids that the model ends with.
            window: Most tokens, prompt included; None is no bound.
            constraint: What the tokens must make up.
            drafts: Proposals, which change nothing but the time.
            stream: Tells sequences of one seed apart.
            clock: Seconds, for the timings.

        Raises:
            InvalidArgumentError: The prompt is empty, does not fit the window or the vocabulary, or the
                parameters name tokens that are not in it.
        """
        self.prompt = checks.token_ids("prompt", prompt, vocabulary)
        if not self.prompt:
            raise InvalidArgumentError(
                "prompt has no tokens; give at least one, such as the beginning of a text"
            )
        if window is not None and len(self.prompt) >= window:
            raise InvalidArgumentError(
                f"prompt has {len(self.prompt)} tokens, and the model reads {window}, the answer included; "
                "shorten it"
            )
        self.token_ids: list[int] = []
        self.finish_reason: FinishReason | None = None
        self._room = min(parameters.max_tokens, (window or 1 << 62) - len(self.prompt))
        self._sampler = Sampler(
            parameters, vocabulary, self.prompt, stream, is_constrained=constraint is not None
        )
        self._ending = Ending(parameters, pieces, eos)
        self._constraint, self._drafts = constraint, drafts
        if drafts is not None:
            drafts.extend(self.prompt)
        self._draft: tuple[int, ...] = ()
        self._choices: list[Choice] = []
        self._texts: list[str] = []
        self._drafted = self._accepted = 0
        self._clock, self._made = clock, clock()
        self._fed = self._first = self._last = self._made

    def feed(self) -> Feed:
        """What to append next. Between it and `take` the sequence does not change.

        Raises:
            InvalidArgumentError: The sequence is at its end.
        """
        if self.finish_reason is not None:
            raise InvalidArgumentError(f"the sequence ended ({self.finish_reason}); start another one")
        if not self.token_ids:
            self._fed = self._clock()
            return Feed(self.prompt, 1)
        room = self._room - len(self.token_ids) - 1  # a draft is followed by one token at least
        proposed = self._drafts.propose(room) if self._drafts is not None and room > 0 else ()
        self._draft = tuple(proposed[:room])
        return Feed((self.token_ids[-1], *self._draft), 1 + len(self._draft))

    @property
    def takes_peaks(self) -> bool:
        """Whether `take` needs the highest logit of each row, and no other."""
        return self._constraint is None and self._sampler.takes_peaks

    @property
    def need(self) -> CandidateNeed | None:
        """What `take` needs of each row; None: the row."""
        return self._sampler.need

    def take(self, logits: Logits | Peaks | Candidates) -> Delta:
        """Chooses the next tokens: one, and one more for each token of the draft that was right.

        Args:
            logits: float32 [rows, vocabulary] for the last feed, or the highest of each row where it
                `takes_peaks`, or what it `need`s of each. Not written to.

        Raises:
            InvalidArgumentError: They have another shape, or are no distribution.
        """
        rows = 1 + len(self._draft)
        shape = (len(logits), 1) if isinstance(logits, Peaks | Candidates) else logits.shape
        if len(shape) != 2 or shape[0] != rows:
            raise InvalidArgumentError(f"logits are {list(shape)}; {rows} rows are needed")
        choices: list[Choice] = []
        texts, right = [], 0
        for index in range(rows):
            try:
                choice, text = self._next(logits[index])
            except InvalidArgumentError:
                if not choices:
                    raise
                break  # what was chosen before stays; the next run meets the error again
            choices.append(choice)
            texts.append(text)
            is_right = index < len(self._draft) and choice.token == self._draft[index]
            right += is_right
            if self.finish_reason is not None or not is_right:
                break
        return self._delta(choices, "".join(texts), right)

    def result(self) -> Generation:
        """What there is so far."""
        return Generation(
            text="".join(self._texts),
            token_ids=tuple(self.token_ids),
            logprobs=tuple(self._choices) if self._sampler.parameters.logprobs is not None else (),
            finish_reason=self.finish_reason,
            stop=self._ending.stop,
            seed=self._sampler.seed,
            timings=self._timings(),
        )

    def _choose(self, row: Logits | Peak | CandidateRow) -> Choice:
        if isinstance(row, Peak):
            return self._sampler.choose_peak(row)
        allowed = None if self._constraint is None else self._constraint.mask()
        if isinstance(row, CandidateRow):
            return self._sampler.choose_among(row, allowed)
        return self._sampler.choose(row, allowed)

    def _next(self, row: Logits | Peak | CandidateRow) -> tuple[Choice, str]:
        """One token and the text it completes; sets the finish reason."""
        choice = self._choose(row)
        self._sampler.accept(choice.token)
        self.token_ids.append(choice.token)
        text = self._ending.add(choice.token)
        reason = self._ending.reason
        if reason is None and self._constraint is not None:
            self._constraint.advance(choice.token)
            reason = "constraint" if self._constraint.is_done else None
        if reason is None and len(self.token_ids) == self._room:
            reason = "length"
        if reason is not None:
            text += self._ending.finish(reason)
            self.finish_reason = self._ending.reason
        return choice, text

    def _delta(self, choices: list[Choice], text: str, right: int) -> Delta:
        tokens = tuple(choice.token for choice in choices)
        if self._drafts is not None:
            self._drafts.extend(tokens)
        self._last = self._clock()
        if len(self.token_ids) == len(tokens):
            self._first = self._last
        forget = len(self._draft) + 1 - len(choices)
        self._drafted += len(self._draft)
        self._accepted += right
        self._draft = ()
        self._choices += choices
        self._texts.append(text)
        told = tuple(choices) if self._sampler.parameters.logprobs is not None else ()
        return Delta(text, tokens, told, self.finish_reason, forget)

    def _timings(self) -> Timings:
        return Timings(
            prompt_tokens=len(self.prompt),
            prompt_seconds=self._first - self._fed,
            tokens=len(self.token_ids),
            decode_seconds=self._last - self._first,
            first_token_seconds=self._first - self._made,
            drafted=self._drafted,
            accepted=self._accepted,
        )


def decode(sequence: TokenSequence, decoder: Decoder) -> Iterator[Delta]:
    """Runs `decoder`, whose cache is empty, until `sequence` ends; what each run adds."""
    while sequence.finish_reason is None:
        feed = sequence.feed()
        delta = sequence.take(decoder.append(feed.tokens, feed.rows))
        if delta.forget:
            decoder.forget(delta.forget)
        yield delta
