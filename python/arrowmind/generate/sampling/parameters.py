"""How the next token is chosen and when to stop, checked when it is made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass
from arrowmind.generate import checks

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SamplingParameters"]

_LARGEST = (1 << 31) - 1
_MIN_TEMPERATURE = 1e-3  # below, float32 quotients overflow, and it is greedy anyway
_MAX_STOPS, _MAX_STOP_LENGTH = 256, 4096


@dataclass(frozen=True)
class SamplingParameters:
    """Choices for one sequence. The defaults are greedy and unpenalised.

    Attributes:
        temperature: 0 takes the most probable token; otherwise logits are divided by it (0.001 to 1000).
        top_k: Only the `top_k` most probable tokens; 0 is all.
        top_p: Only the fewest most probable tokens that together have this probability; 1 is all.
        min_p: Only tokens at least this times as probable as the most probable one; 0 is all.
        repetition_penalty: Logits of tokens in prompt or output are divided by it where positive, multiplied
            by it where negative; 1 is none.
        frequency_penalty: Subtracted from a token's logit for each time it was generated.
        presence_penalty: Subtracted from a token's logit if it was generated at all.
        penalty_window: The penalties look at this many last tokens; None is all.
        seed: Same seed, same logits: same tokens, whatever else is generated beside. None draws one.
        stop: Texts that end the generation and are not part of its text.
        stop_ids: Tokens that end the generation and are not part of its text.
        ignore_eos: Go on after the model's end-of-sequence tokens.
        max_tokens: Most tokens to generate.
        logprobs: How many of the most probable tokens to tell beside the chosen one, of the model's own
            distribution (before bias, penalties, temperature and constraint); None tells nothing.
        logit_bias: Added to logits, by token id; -inf forbids a token.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_window: int | None = None
    seed: int | None = None
    stop: str | Sequence[str] = ()
    stop_ids: Sequence[int] = ()
    ignore_eos: bool = False
    max_tokens: int = 128
    logprobs: int | None = None
    logit_bias: Mapping[int, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks and normalises every value.

        Raises:
            InvalidArgumentError: A value is of the wrong type, NaN or out of bounds.
        """
        for name, value in self._checked().items():
            object.__setattr__(self, name, value)

    def _checked(self) -> dict[str, object]:
        return {
            "temperature": _temperature(self.temperature),
            "top_k": checks.whole("top_k", self.top_k, 0, _LARGEST, " (0: all tokens)"),
            "top_p": _above_zero("top_p", self.top_p, 1.0, " (1: all tokens)"),
            "min_p": checks.real("min_p", self.min_p, 0, 1, " (0: all tokens)"),
            "repetition_penalty": _above_zero(
                "repetition_penalty", self.repetition_penalty, 100.0, " (1: none)"
            ),
            "frequency_penalty": checks.real("frequency_penalty", self.frequency_penalty, -100, 100),
            "presence_penalty": checks.real("presence_penalty", self.presence_penalty, -100, 100),
            "penalty_window": _optional(
                "penalty_window", self.penalty_window, 1, _LARGEST, " or None for all"
            ),
            "seed": _optional("seed", self.seed, 0, (1 << 64) - 1, " or None to draw one"),
            "stop": checks.strings("stop", self.stop, _MAX_STOPS, _MAX_STOP_LENGTH),
            "stop_ids": checks.token_ids("stop_ids", self.stop_ids),
            "ignore_eos": checks.flag("ignore_eos", self.ignore_eos),
            "max_tokens": checks.whole("max_tokens", self.max_tokens, 1, _LARGEST),
            "logprobs": _optional("logprobs", self.logprobs, 0, _LARGEST, " or None for none"),
            "logit_bias": _biases(self.logit_bias),
        }

    @property
    def is_greedy(self) -> bool:
        """Whether the most probable token is taken, without chance."""
        return self.temperature == 0

    @property
    def has_penalties(self) -> bool:
        """Whether tokens that were there before count."""
        return self.repetition_penalty != 1 or self.frequency_penalty != 0 or self.presence_penalty != 0

    @property
    def changes_logits(self) -> bool:
        """Whether there are biases or penalties."""
        return self.has_penalties or bool(self.logit_bias)

    @property
    def only_lowers(self) -> bool:
        """Whether biases and penalties raise no logit."""
        penalties = (self.repetition_penalty - 1, self.frequency_penalty, self.presence_penalty)
        return all(one >= 0 for one in penalties) and all(bias <= 0 for bias in self.logit_bias.values())


def _temperature(value: object) -> float:
    temperature = checks.real("temperature", value, 0, 1000, " (0: always the most probable token)")
    if 0 < temperature < _MIN_TEMPERATURE:
        raise InvalidArgumentError(
            f"temperature is {temperature!r}; use 0 (the most probable token) or at least {_MIN_TEMPERATURE}"
        )
    return temperature


def _above_zero(name: str, value: object, high: float, hint: str) -> float:
    number = checks.real(name, value, 0, high, hint)
    if number == 0:
        raise InvalidArgumentError(f"{name} is 0; use a number above 0, up to {high:g}{hint}")
    return number


def _optional(name: str, value: object, low: int, high: int, hint: str) -> int | None:
    return None if value is None else checks.whole(name, value, low, high, hint)


def _biases(value: object) -> dict[int, float]:
    if not isinstance(value, Mapping):
        raise InvalidArgumentError(
            f"logit_bias is {type(value).__name__}; use a mapping from token id to number"
        )
    biases = {}
    for key, bias in value.items():
        token = checks.whole("a token id of logit_bias", key, 0, _LARGEST)
        forbidden = isinstance(bias, float) and bias == -math.inf
        biases[token] = (
            -math.inf
            if forbidden
            else checks.real(f"logit_bias[{token}]", bias, -1e6, 1e6, ", or -inf to forbid the token")
        )
    return biases
