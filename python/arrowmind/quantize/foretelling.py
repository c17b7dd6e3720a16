"""What two language models foretell of the same texts, token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.observe import Progress

__all__ = ["Foreteller", "Foretold", "foretell"]

# Tokens of a text that are compared; longer texts are cut into pieces.
_PIECE = 256
# Of the first texts, tokens that are given, and tokens that the model goes on with.
_PROMPTS, _GIVEN, _GENERATED = 8, 12, 24
# Stands for a divergence without bound: of a NaN, or of logits of another shape.
_FAR = 1e3


class Foreteller(Protocol):
    """A language model."""

    @property
    def max_tokens(self) -> int:
        """Longest prompt."""

    def tokenise(self, text: str) -> list[int]:
        """Token ids of a text, uncut."""

    def logits(self, prompt: Sequence[int]) -> npt.NDArray[np.float32]:
        """What follows each token of a prompt, float32 [tokens, vocabulary]."""

    def detokenise(self, ids: Sequence[int]) -> str:
        """The text of token ids."""


@dataclass(frozen=True)
class Foretold:
    """What was compared, an entry per token that both models foretold.

    Attributes:
        reference: log likelihood of the token by the original, in nats.
        candidate: by the model to judge.
        divergence: Kullback-Leibler divergence of what both foretell, in nats.
        agree: whether the most likely token is the same.
        generated: share of the tokens of greedy continuations by the model to judge that the original would
            have chosen at their place; None where no text was long enough.
        worst_text: the text of the largest mean divergence.
    """

    reference: npt.NDArray[np.float64]
    candidate: npt.NDArray[np.float64]
    divergence: npt.NDArray[np.float64]
    agree: npt.NDArray[np.bool_]
    generated: float | None
    worst_text: str

    @property
    def perplexities(self) -> tuple[float, float]:
        """Of the original and of the model to judge."""
        original, judged = (
            math.exp(min(-float(side.mean()), 700.0)) for side in (self.reference, self.candidate)
        )
        return original, judged


def foretell(
    reference: Foreteller, candidate: Foreteller, texts: Sequence[str], progress: Progress = no_progress
) -> Foretold:
    """Compares two language models.

    Args:
        reference: the original; its tokenizer is used.
        candidate: the model to judge.
        texts: to foretell.
        progress: told of texts done.

    Raises:
        InvalidArgumentError: no text has two tokens.
    """
    longest = min(_PIECE, reference.max_tokens, candidate.max_tokens)
    tokenised = [reference.tokenise(text) for text in texts]
    rows: list[list[npt.NDArray[np.float64]]] = []
    worst, worst_text = -1.0, ""
    for done, (text, ids) in enumerate(zip(texts, tokenised, strict=True)):
        found = [
            _compare(reference.logits(piece), candidate.logits(piece), piece)
            for piece in (ids[begin : begin + longest] for begin in range(0, len(ids), longest))
            if len(piece) > 1
        ]
        rows += found
        mean = float(np.mean(np.concatenate([one[2] for one in found]))) if found else -1.0
        if mean > worst:
            worst, worst_text = mean, text
        progress(done + 1, len(texts), "comparing")
    if not rows:
        raise InvalidArgumentError("no text to compare language models on has two tokens; give longer ones")
    original, judged, divergence, agree = (np.concatenate(side) for side in zip(*rows, strict=True))
    generated = _generated(reference, candidate, tokenised, longest)
    return Foretold(original, judged, divergence, agree > 0, generated, worst_text)


def _compare(
    left: npt.NDArray[np.float32], right: npt.NDArray[np.float32], ids: Sequence[int]
) -> list[npt.NDArray[np.float64]]:
    """Log likelihoods by both, divergence and agreement for all tokens but the first."""
    targets = np.asarray(ids[1:], dtype=np.int64)
    place = np.arange(len(targets))
    original = _log_shares(left[:-1])
    if left.shape != right.shape:
        far = np.full(len(targets), _FAR)
        return [original[place, targets], -far, far, np.zeros(len(targets))]
    judged = _log_shares(right[:-1])
    with np.errstate(invalid="ignore"):
        divergence = (np.exp(original) * (original - judged)).sum(axis=1)
    agree = (original.argmax(axis=1) == judged.argmax(axis=1)).astype(np.float64)
    return [
        original[place, targets],
        np.nan_to_num(judged[place, targets], nan=-_FAR, neginf=-_FAR),
        # What is equal diverges by roundings of either sign.
        np.clip(np.nan_to_num(divergence, nan=_FAR, posinf=_FAR), 0.0, _FAR),
        agree * np.isfinite(divergence),
    ]


def _log_shares(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        shifted -= shifted.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _generated(
    reference: Foreteller, candidate: Foreteller, tokenised: Sequence[Sequence[int]], longest: int
) -> float | None:
    agreed, count = 0, 0
    prompts = [ids[:_GIVEN] for ids in tokenised if len(ids) >= _GIVEN][:_PROMPTS]
    for prompt in prompts:
        ids = list(prompt)
        while len(ids) < min(len(prompt) + _GENERATED, longest):
            # A NaN is taken for the largest, and counts as a token like any other.
            ids.append(int(candidate.logits(ids)[-1].argmax()))
        chosen = _choices(reference, ids)[len(prompt) - 1 : -1]
        agreed += int((chosen == np.asarray(ids[len(prompt) :])).sum())
        count += len(chosen)
    return agreed / count if count else None


def _choices(model: Foreteller, ids: Sequence[int]) -> npt.NDArray[np.intp]:
    """What the model would choose after each token; -1 where a token is beyond its vocabulary."""
    try:
        chosen: npt.NDArray[np.intp] = model.logits(ids).argmax(axis=1)
        return chosen
    except InvalidArgumentError:
        return np.full(len(ids), -1)
