"""What training brings together: the student's results and the teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn import functional

from arrowmind.quantize.distill import decoder_forward
from arrowmind.quantize.distill.forward import forward, pad

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.spec import ModelSpec

__all__ = ["DecoderObjective", "EncoderObjective", "Objective"]

# Values of logits of a step; of a large vocabulary some rows stand for all.
_LOGITS = 1 << 24


class Objective(Protocol):
    """A loss.

    Attributes:
        figure: name of what it tells of a step.
    """

    figure: str

    def __call__(
        self, teacher: Mapping[str, Any], student: Mapping[str, Any], sequences: list[list[int]]
    ) -> tuple[Any, float]:
        """The loss of a batch, differentiable, and the figure."""


class EncoderObjective:
    """One less the cosine of both embeddings, and how far hidden states are apart."""

    figure = "cosine"

    def __init__(self, model: ModelSpec) -> None:
        self._model = model

    def __call__(
        self, teacher: Mapping[str, Any], student: Mapping[str, Any], sequences: list[list[int]]
    ) -> tuple[Any, float]:
        """The loss of a batch, and the mean cosine."""
        batch = pad(sequences)
        with torch.no_grad():
            wanted, wanted_states = forward(self._model, teacher.__getitem__, batch)
        found, states = forward(self._model, student.__getitem__, batch)
        cosine = (found * wanted).sum(1).mean()
        return (1 - cosine) + _apart(states, wanted_states, batch.weights), float(cosine.detach())


class DecoderObjective:
    """The divergence of what both foretell, and how far hidden states are apart.

    Args:
        model: what both compute.
        hidden: weight of the hidden states.
    """

    figure = "divergence"

    def __init__(self, model: DecoderSpec, hidden: float) -> None:
        self._model, self._hidden = model, hidden

    def __call__(
        self, teacher: Mapping[str, Any], student: Mapping[str, Any], sequences: list[list[int]]
    ) -> tuple[Any, float]:
        """The loss of a batch, and the mean divergence in nats."""
        ids = torch.tensor(sequences)
        with torch.no_grad():
            wanted_states = decoder_forward.forward(self._model, teacher.__getitem__, ids)
            wanted = self._shares(teacher, wanted_states[-1])
        states = decoder_forward.forward(self._model, student.__getitem__, ids)
        found = self._shares(student, states[-1])
        divergence = functional.kl_div(found, wanted, log_target=True, reduction="none").sum(-1).mean()
        loss = divergence
        if self._hidden:
            loss = loss + self._hidden * _apart(states, wanted_states, 1.0)
        return loss, float(divergence.detach())

    def _shares(self, tensors: Mapping[str, Any], states: Any) -> Any:
        """Logarithms of what some rows foretell, [rows, vocabulary]."""
        rows = states.flatten(0, 1)
        step = max(1, -(-len(rows) * self._model.vocabulary // _LOGITS))
        return decoder_forward.logits(self._model, tensors.__getitem__, rows[::step]).log_softmax(-1)


def _apart(states: Sequence[Any], wanted: Sequence[Any], weights: Any) -> Any:
    """Relative squared difference of hidden states, mean over blocks."""
    apart = sum(
        ((a - b) ** 2 * weights).sum() / (b**2 * weights).sum() for a, b in zip(states, wanted, strict=True)
    )
    return apart / len(states)
