"""What comes of a generation: deltas while it goes on, the whole at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from arrowmind.generate.sampling import Choice

__all__ = ["Delta", "FinishReason", "Generation", "Timings"]

FinishReason = Literal["eos", "stop", "constraint", "length"]


@dataclass(frozen=True)
class Timings:
    """Counts and times of one sequence, in seconds of the clock on the wall.

    Attributes:
        prompt_tokens: Tokens of the prompt.
        prompt_seconds: From the first feed to its logits.
        tokens: Tokens generated.
        decode_seconds: From the first token to the last.
        first_token_seconds: From the making of the sequence to the first token, waiting included.
        drafted: Tokens that were proposed.
        accepted: Those of them that were right.
    """

    prompt_tokens: int
    prompt_seconds: float
    tokens: int
    decode_seconds: float
    first_token_seconds: float
    drafted: int = 0
    accepted: int = 0

    @property
    def prompt_tokens_per_second(self) -> float:
        """Speed of reading; 0 before it is known."""
        return self.prompt_tokens / self.prompt_seconds if self.prompt_seconds > 0 else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Speed of writing, without the first token, which the prompt's logits give; 0 before it is known."""
        return (self.tokens - 1) / self.decode_seconds if self.decode_seconds > 0 else 0.0


@dataclass(frozen=True)
class Delta:
    """What one run of the decoder added.

    Attributes:
        text: Text that is certain: whole characters, and no beginning of a stop string.
        token_ids: Tokens, the one that ended the text included.
        logprobs: One for each token where they were asked for.
        finish_reason: Why this is the last delta; None while there are more.
        forget: How many tokens fed last the decoder must drop from its cache: refused drafts.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[Choice, ...] = ()
    finish_reason: FinishReason | None = None
    forget: int = 0


@dataclass(frozen=True)
class Generation:
    """A generated text.

    Attributes:
        text: Without the stop string or token that ended it.
        token_ids: All tokens generated, the one that ended it included.
        logprobs: One for each token where they were asked for.
        finish_reason: ``eos``: the model ended it; ``stop``: a stop string or token; ``constraint``: the
            constraint is fulfilled and allows nothing more; ``length``: max_tokens or the model's window;
            None: it was not read to its end.
        stop: The stop string or token id.
        seed: Repeats it, given the same logits.
        timings: Counts and times.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[Choice, ...]
    finish_reason: FinishReason | None
    stop: str | int | None
    seed: int
    timings: Timings
