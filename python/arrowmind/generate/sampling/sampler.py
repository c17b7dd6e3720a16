"""From a row of logits to a token.

::

    logits -> constraint -> bias -> penalties (repetition, frequency, presence)
           -> greedy: the highest, the lowest id of equals
           -> else: temperature -> top-k -> top-p -> min-p -> draw

The definitions are those of Hugging Face transformers and vLLM; llama.cpp divides by the temperature last, so
that its top-p and min-p cut the distribution at temperature 1.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import checks
from arrowmind.generate.sampling.penalties import Penalties
from arrowmind.generate.sampling.philox import uniform
from arrowmind.generate.sampling.selection import draw, highest, nucleus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.generate.sampling.parameters import SamplingParameters
    from arrowmind.generate.sampling.peaks import Peak

__all__ = ["Choice", "Sampler"]

Logits = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Choice:
    """A chosen token.

    Attributes:
        token: Its id.
        logprob: Natural logarithm of its probability under the model; None unless asked for.
        top: The most probable tokens and their logarithms, best first.
    """

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """The chain for one sequence.

    Its n-th choice depends on seed, stream, n, the tokens before and the logits, and on nothing else.
    """

    def __init__(
        self, parameters: SamplingParameters, vocabulary: int, prompt: Sequence[int] = (), stream: int = 0
    ) -> None:
        """A sampler before its first token.

        Args:
            parameters: How to choose.
            vocabulary: Length of a row of logits.
            prompt: Token ids before the first; the repetition penalty counts them.
            stream: Tells sequences of one seed apart.

        Raises:
            InvalidArgumentError: A token id is not in the vocabulary.
        """
        self.parameters = parameters
        self.vocabulary = checks.whole("vocabulary", vocabulary, 1, (1 << 31) - 1)
        self.seed = int.from_bytes(os.urandom(8), "little") if parameters.seed is None else parameters.seed
        self.stream = checks.whole("stream", stream, 0, (1 << 64) - 1)
        self.position = 0
        history = checks.token_ids("prompt", prompt, vocabulary) if parameters.has_penalties else ()
        self._penalties = Penalties(parameters, history) if parameters.has_penalties else None
        self._bias_ids = np.array(list(parameters.logit_bias), np.int64)
        self._bias = np.array(list(parameters.logit_bias.values()), np.float32)
        checks.token_ids("logit_bias", self._bias_ids, vocabulary)
        checks.token_ids("stop_ids", parameters.stop_ids, vocabulary)

    def choose(self, logits: Logits, allowed: npt.NDArray[np.bool_] | None = None) -> Choice:
        """The next token; changes nothing.

        Args:
            logits: float32 [vocabulary]; -inf forbids a token. Not written to.
            allowed: bool [vocabulary]: what a constraint leaves; None is everything.

        Raises:
            InvalidArgumentError: A logit is NaN or +inf, or no token is left.
        """
        peak = self._check(logits)
        row = self._processed(logits, allowed)
        best = int(row.argmax())
        if not math.isfinite(row[best]):
            raise InvalidArgumentError(
                f"token {self.position} has no candidate left (highest logit {row[best]}): constraint and "
                "logit_bias forbid every token that the model can give; loosen one of them"
            )
        token = best if self.parameters.is_greedy else self._draw(row, float(row[best]))
        return self._told(token, logits, peak)

    @property
    def takes_peaks(self) -> bool:
        """Whether the highest logit of a row is all that a choice needs of it."""
        parameters = self.parameters
        is_plain = parameters.logprobs is None and not parameters.logit_bias and self._penalties is None
        return parameters.is_greedy and is_plain

    def choose_peak(self, peak: Peak) -> Choice:
        """The next token where `takes_peaks`; changes nothing.

        Raises:
            InvalidArgumentError: The peak is NaN or infinite, or no token of the vocabulary.
        """
        self._check_peak(peak.value)
        return Choice(checks.whole("token", peak.token, 0, self.vocabulary - 1))

    def accept(self, token: int) -> None:
        """Takes `token` as the next one of the sequence, whether or not it was chosen here."""
        self.position += 1
        if self._penalties is not None:
            self._penalties.add(checks.whole("token", token, 0, self.vocabulary - 1))

    def sample(self, logits: Logits, allowed: npt.NDArray[np.bool_] | None = None) -> Choice:
        """`choose`, then `accept`."""
        choice = self.choose(logits, allowed)
        self.accept(choice.token)
        return choice

    def _check(self, logits: Logits) -> float:
        if logits.shape != (self.vocabulary,) or logits.dtype != np.float32:
            raise InvalidArgumentError(
                f"logits are {logits.dtype} {list(logits.shape)}; float32 [{self.vocabulary}] is needed"
            )
        peak = float(logits.max())  # NaN if any is
        self._check_peak(peak)
        return peak

    def _check_peak(self, peak: float) -> None:
        if not math.isfinite(peak):
            raise InvalidArgumentError(
                f"logits of token {self.position} have {peak} as their highest value; the model computed no "
                "distribution: verify its files, or use wider activations"
            )

    def _processed(self, logits: Logits, allowed: npt.NDArray[np.bool_] | None) -> Logits:
        row = logits
        if allowed is not None:
            if allowed.shape != logits.shape or allowed.dtype != np.bool_:
                raise InvalidArgumentError(
                    f"allowed is {allowed.dtype} {list(allowed.shape)}; bool [{self.vocabulary}] is needed"
                )
            row = np.where(allowed, logits, np.float32(-np.inf))
        if len(self._bias_ids) or self._penalties is not None:
            row = row.copy() if row is logits else row
            row[self._bias_ids] += self._bias
        if self._penalties is not None:
            self._penalties.apply(row)
        return row

    def _draw(self, row: Logits, peak: float) -> int:
        ids, weights = self.distribution(row, peak)
        if len(ids) == 1:
            return int(ids[0])
        return int(ids[draw(weights, uniform(self.seed, self.stream, self.position))])

    def distribution(self, row: Logits, peak: float) -> tuple[npt.NDArray[np.int64], Logits]:
        """Ids, ascending, and float32 weights of what temperature, top-k, top-p and min-p leave.

        The highest weighs 1; what is left out or too improbable for float32 may be there with 0.

        Args:
            row: Logits after bias and penalties.
            peak: Their highest.
        """
        parameters = self.parameters
        if parameters.top_k:
            ids = highest(row, parameters.top_k)
            weights = _weights(row[ids], peak, parameters.temperature)
        else:
            ids, weights = _every(len(row)), _weights(row, peak, parameters.temperature)
        if parameters.top_p < 1:
            ids, weights = _nucleus(ids, weights, parameters.top_p)
        if parameters.min_p > 0:
            ids, weights = _leave(ids, weights, weights >= np.float32(parameters.min_p))
        return ids, weights

    def _told(self, token: int, logits: Logits, peak: float) -> Choice:
        count = self.parameters.logprobs
        if count is None:
            return Choice(token)
        log_sum = peak + math.log(float(_weights(logits, peak, 1.0).sum(dtype=np.float64)))
        ids = highest(logits, min(count, len(logits))) if count else np.empty(0, np.int64)
        ids = ids[np.argsort(-logits[ids], kind="stable")]
        top = tuple((int(i), float(logits[i]) - log_sum) for i in ids)
        return Choice(token, float(logits[token]) - log_sum, top)


def _weights(row: Logits, peak: float, temperature: float) -> Logits:
    """Probabilities over the highest one."""
    with np.errstate(over="ignore", under="ignore"):  # -inf and 0 are what such differences are to become
        weights: Logits = row - np.float32(peak)
        weights /= np.float32(temperature)
        np.exp(weights, out=weights)
    return weights


def _nucleus(
    ids: npt.NDArray[np.int64], weights: Logits, top_p: float
) -> tuple[npt.NDArray[np.int64], Logits]:
    total = float(weights.sum(dtype=np.float64))
    # Tokens below this share weigh less than 1 - top_p together, so that the nucleus is among the others.
    share = (1 - top_p) * total / len(weights)
    ids, weights = _leave(ids, weights, weights >= np.float32(share * 0.99))  # less, for what float32 rounds
    return _leave(ids, weights, nucleus(weights, top_p * total))


def _leave(
    ids: npt.NDArray[np.int64], weights: Logits, kept: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], Logits]:
    """What is `kept`: taken out where it is little, the rest set to 0 where it is much; it is faster."""
    if 2 * np.count_nonzero(kept) < len(kept):
        return ids[kept], weights[kept]
    weights *= kept
    return ids, weights


@functools.lru_cache(maxsize=4)
def _every(vocabulary: int) -> npt.NDArray[np.int64]:
    ids = np.arange(vocabulary)
    ids.flags.writeable = False
    return ids
