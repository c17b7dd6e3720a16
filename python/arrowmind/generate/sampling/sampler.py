"""From a row of logits to a token.

::

    logits -> constraint -> bias -> penalties (repetition, frequency, presence)
           -> greedy: the highest, the lowest id of equals
           -> else: temperature -> top-k -> top-p -> min-p -> draw

The definitions are those of Hugging Face transformers and vLLM; llama.cpp divides by the temperature last, so
that its top-p and min-p cut the distribution at temperature 1.
"""

from __future__ import annotations

import functools
import math
import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass
from arrowmind.generate import checks
from arrowmind.generate.sampling.candidates import MOST_CANDIDATES, sum_error
from arrowmind.generate.sampling.deciding import Total, left_of, need_of
from arrowmind.generate.sampling.penalties import Penalties, places_of
from arrowmind.generate.sampling.philox import uniform
from arrowmind.generate.sampling.selection import draw, highest, nucleus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.generate.sampling.candidates import CandidateNeed, CandidateRow
    from arrowmind.generate.sampling.parameters import SamplingParameters
    from arrowmind.generate.sampling.peaks import Peak

__all__ = ["Choice", "Sampler"]

Logits = npt.NDArray[np.float32]

_MOST_UNDECIDED = 6  # after which 2^6 tokens have rows


@dataclass(frozen=True)
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
        self,
        parameters: SamplingParameters,
        vocabulary: int,
        prompt: Sequence[int] = (),
        stream: int = 0,
        *,
        is_constrained: bool = False,
    ) -> None:
        """A sampler before its first token.

        Args:
            parameters: How to choose.
            vocabulary: Length of a row of logits.
            prompt: Token ids before the first; the repetition penalty counts them.
            stream: Tells sequences of one seed apart.
            is_constrained: Whether choices are told what is allowed.

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
        self._need = need_of(parameters, is_constrained=is_constrained)
        self._undecided = self._rest = 0
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

    @property
    def need(self) -> CandidateNeed | None:
        """What a choice needs of a row; None: the row, also for a while after a need that was not enough."""
        return None if self._rest else self._need

    def choose_among(self, row: CandidateRow, allowed: npt.NDArray[np.bool_] | None = None) -> Choice:
        """The next token by what is needed of a row: that of the row, which is asked for where it must be.

        Then `need` is None for the next tokens: twice as many each time in a row that this happens, up to 64.

        Args:
            row: What is there of it.
            allowed: As for `choose`.

        Raises:
            InvalidArgumentError: A logit is NaN or infinite, a token is none, or none is left.
        """
        self._check_peak(float(row.values[0]))
        if allowed is not None:
            self._check_allowed(allowed)
        for token in (row.tokens.min(), row.tokens.max()):
            checks.whole("a candidate", token, 0, self.vocabulary - 1)
        chosen = self._decided(row, allowed)
        if chosen is None:
            self._undecided = min(self._undecided + 1, _MOST_UNDECIDED)
            self._rest = 1 << self._undecided
            return self.choose(row.whole(), allowed)
        self._undecided = 0
        return self._told_among(chosen, row)

    def accept(self, token: int) -> None:
        """Takes `token` as the next one of the sequence, whether or not it was chosen here."""
        self.position += 1
        self._rest = max(0, self._rest - 1)
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

    def _check_allowed(self, allowed: npt.NDArray[np.bool_]) -> None:
        if allowed.shape != (self.vocabulary,) or allowed.dtype != np.bool_:
            raise InvalidArgumentError(
                f"allowed is {allowed.dtype} {list(allowed.shape)}; bool [{self.vocabulary}] is needed"
            )

    def _processed(self, logits: Logits, allowed: npt.NDArray[np.bool_] | None) -> Logits:
        row = logits
        if allowed is not None:
            self._check_allowed(allowed)
            row = np.where(allowed, logits, np.float32(-np.inf))
        if len(self._bias_ids) or self._penalties is not None:
            row = row.copy() if row is logits else row
            row[self._bias_ids] += self._bias
        if self._penalties is not None:
            self._penalties.apply(row)
        return row

    def _decided(self, row: CandidateRow, allowed: npt.NDArray[np.bool_] | None) -> int | None:
        """The token of the whole row, None where it cannot be told."""
        order = np.argsort(row.tokens)
        ids, logits = row.tokens[order], row.values[order]
        # No logit that is not there is above it; of equals the lowest tokens are there.
        is_all = len(ids) == self.vocabulary or (allowed is not None and _holds(ids, allowed))
        floor = -math.inf if is_all else float(row.values[-1])
        is_changed = allowed is not None or self.parameters.changes_logits
        if is_changed:
            logits = self._changed(ids, logits, allowed)
            is_first = logits > floor  # whatever became of the others, which only fell
            ids, logits = ids[is_first], logits[is_first]
            if not len(ids):
                return None
        best = int(logits.argmax())
        if self.parameters.is_greedy:
            return int(ids[best])
        left = self._left(logits, floor, {} if is_changed else row.sums)
        return None if left is None else self._drawn(ids[left[0]], left[1])

    def _changed(
        self, ids: npt.NDArray[np.int64], logits: Logits, allowed: npt.NDArray[np.bool_] | None
    ) -> Logits:
        """Logits of some tokens, ids ascending, after constraint, bias and penalties."""
        logits = logits.copy() if allowed is None else np.where(allowed[ids], logits, np.float32(-np.inf))
        places, are_there = places_of(self._bias_ids, ids)
        logits[places] += self._bias[are_there]
        if self._penalties is not None:
            self._penalties.apply_to(ids, logits)
        return logits

    def _left(
        self, logits: Logits, floor: float, sums: Mapping[float, float]
    ) -> tuple[npt.NDArray[np.int64], Logits] | None:
        """As `distribution` of the whole row, by places among `logits`; None where it cannot be told."""
        parameters, peak = self.parameters, float(logits.max())
        if parameters.top_k and (len(logits) >= parameters.top_k or floor == -math.inf):
            return self.distribution(logits, peak)
        weights, others = (
            _weights(each, peak, parameters.temperature) for each in (logits, np.array([floor], np.float32))
        )
        total = None  # of what is left of a changed row, or of top-k
        if parameters.top_k == 0 and parameters.temperature in sums:
            total = Total(sums[parameters.temperature], sum_error(self.vocabulary))
        places = left_of(weights, float(others[0]), parameters.top_p, parameters.min_p, total)
        return None if places is None else (places, weights[places])

    def _draw(self, row: Logits, peak: float) -> int:
        return self._drawn(*self.distribution(row, peak))

    def _drawn(self, ids: npt.NDArray[np.int64], weights: Logits) -> int:
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

    def _told_among(self, token: int, row: CandidateRow) -> Choice:
        count = self.parameters.logprobs
        if count is None:
            return Choice(token)
        log_sum = float(row.values[0]) + math.log(row.sums[1.0])
        value = float(row.values[np.flatnonzero(row.tokens == token)[0]])
        top = zip(row.tokens[:count].tolist(), row.values[:count].tolist(), strict=True)
        return Choice(token, value - log_sum, tuple((i, x - log_sum) for i, x in top if x > -math.inf))


def _holds(ids: npt.NDArray[np.int64], allowed: npt.NDArray[np.bool_]) -> bool:
    """Whether no other token is allowed."""
    return int(np.count_nonzero(allowed[ids])) == int(np.count_nonzero(allowed))


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
    """What is `kept`: taken out where it is little, the rest set to 0 where it is much; it is faster.

    Among so few as candidates may be nothing else stays: a draw adds in blocks, and the same tokens are to
    have the same sums, whether they were found in a row or among candidates.
    """
    if 2 * np.count_nonzero(kept) < len(kept) or len(kept) <= 2 * MOST_CANDIDATES:
        return ids[kept], weights[kept]
    weights *= kept
    return ids, weights


@functools.lru_cache(maxsize=4)
def _every(vocabulary: int) -> npt.NDArray[np.int64]:
    ids = np.arange(vocabulary)
    ids.flags.writeable = False
    return ids
