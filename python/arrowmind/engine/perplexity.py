"""Perplexity: how well a language model foretells a text, token by token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.frozen import dataclass
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from arrowmind.engine.language import LanguageModel
    from arrowmind.observe import Progress

__all__ = ["Perplexity", "Window", "log_likelihoods", "measure", "windows_of"]

# Windows of a forward: enough for every thread.
_TOGETHER = 4
_SHORTEST = 2


class Window(NamedTuple):
    """Tokens [begin, end) of a text; those from `scored` on are foretold, each from all before it here."""

    begin: int
    end: int
    scored: int


@dataclass(frozen=True)
class Perplexity:
    """What was measured.

    Attributes:
        perplexity: e^loss.
        loss: mean negative log likelihood of a token, in nats.
        tokens: how many were foretold.
        window: tokens that a forward read at most.
        stride: tokens foretold per forward, but for the first.
    """

    perplexity: float
    loss: float
    tokens: int
    window: int
    stride: int


def windows_of(tokens: int, window: int, stride: int) -> Iterator[Window]:
    """Windows over a text such that each token but the first is foretold once.

    Args:
        tokens: of the text.
        window: tokens of a window, at least 2.
        stride: tokens by which windows advance, below `window`: each is foretold from `window - stride`
            tokens at least.
    """
    scored = 1
    while scored < tokens:
        end = min(tokens, window if scored == 1 else scored + stride)
        yield Window(max(0, end - window), end, scored)
        scored = end


def log_likelihoods(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log of the probability that each row of `logits` gives its target, in nats."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(targets)), targets]
    np.exp(shifted, out=shifted)
    found: NDArray[np.float64] = chosen - np.log(shifted.sum(axis=1))
    return found


def measure(
    model: LanguageModel,
    ids: Sequence[int],
    *,
    window: int | None = None,
    stride: int | None = None,
    progress: Progress = no_progress,
) -> Perplexity:
    """The perplexity of a text.

    Args:
        model: that foretells.
        ids: the tokens of the text, at least two.
        window: tokens that are read at a time; None takes 512, or what the model reads.
        stride: tokens foretold per window; None takes half a window.
        progress: called with tokens done.

    Raises:
        InvalidArgumentError: there are too few tokens, or window and stride do not go together.
    """
    size = min(512, model.max_tokens) if window is None else window
    step = max(1, size // 2) if stride is None else stride
    _check(len(ids), size, step, model.max_tokens)
    planned = list(windows_of(len(ids), size, step))
    total = 0.0
    for begin in range(0, len(planned), _TOGETHER):
        together = planned[begin : begin + _TOGETHER]
        states = model.states([ids[one.begin : one.end] for one in together])
        for one, rows in zip(together, states, strict=True):
            total += _sum(model, rows, ids, one)
        progress(together[-1].end, len(ids), "perplexity")
    count = len(ids) - 1
    loss = -total / count
    # Beyond this e^loss is no float.
    return Perplexity(math.exp(min(loss, 700.0)), loss, count, size, step)


def _sum(model: LanguageModel, rows: NDArray[np.float32], ids: Sequence[int], window: Window) -> float:
    """Of the log likelihoods of what `window` foretells."""
    foretelling = rows[window.scored - 1 - window.begin : -1]
    targets = np.asarray(ids[window.scored : window.end], dtype=np.int64)
    return sum(
        float(log_likelihoods(logits, targets[part]).sum())
        for part, logits in model.logits_in_parts(foretelling)
    )


def _check(tokens: int, window: int, stride: int, longest: int) -> None:
    if tokens < _SHORTEST:
        raise InvalidArgumentError(f"a text of {tokens} tokens foretells nothing; give one of at least 2")
    if not _SHORTEST <= window <= longest:
        raise InvalidArgumentError(f"window={window}; use {_SHORTEST} to {longest} tokens")
    if not 1 <= stride < window:
        raise InvalidArgumentError(f"stride={stride}; use 1 to {window - 1}, below the window of {window}")
