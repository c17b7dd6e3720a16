"""Penalties for tokens that were there before, over a sliding window.

Counts are kept per distinct token, so a step costs as many operations as there are distinct tokens in the
sequence, not as many as the vocabulary has.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arrowmind.generate.sampling.parameters import SamplingParameters

__all__ = ["Penalties", "places_of"]

_PROMPT, _OUTPUT = 0, 1


class Penalties:
    """Counts of the last `penalty_window` tokens, apart for prompt and output."""

    def __init__(self, parameters: SamplingParameters, prompt: Iterable[int] = ()) -> None:
        self._parameters = parameters
        self._slots: dict[int, int] = {}
        self._ids = np.zeros(64, np.int64)
        self._counts = np.zeros((64, 2), np.int32)  # per slot: in the prompt, in the output
        self._window: deque[tuple[int, int]] | None = None if parameters.penalty_window is None else deque()
        for token in prompt:
            self._add(token, _PROMPT)

    def add(self, token: int) -> None:
        """Counts a generated token."""
        self._add(token, _OUTPUT)

    def apply(self, logits: npt.NDArray[np.float32]) -> None:
        """Changes float32 `logits` [vocabulary] in place."""
        count = len(self._slots)
        ids = self._ids[:count]
        logits[ids] = self._penalised(logits[ids], self._counts[:count])

    def apply_to(self, tokens: npt.NDArray[np.int64], logits: npt.NDArray[np.float32]) -> None:
        """The same for some tokens, ids ascending, and the logits of these alone."""
        count = len(self._slots)
        places, are_there = places_of(self._ids[:count], tokens)
        logits[places] = self._penalised(logits[places], self._counts[:count][are_there])

    def _penalised(
        self, values: npt.NDArray[np.float32], counts: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        parameters = self._parameters
        if parameters.repetition_penalty != 1:
            factor = np.float32(parameters.repetition_penalty)
            penalised = np.where(values > 0, values / factor, values * factor)
            values = np.where(counts.any(axis=1), penalised, values)
        generated = counts[:, _OUTPUT]
        values -= np.float32(parameters.frequency_penalty) * generated
        values -= np.float32(parameters.presence_penalty) * (generated > 0)
        return values

    def _add(self, token: int, where: int) -> None:
        slot = self._slot(token)  # may replace the arrays
        self._counts[slot, where] += 1
        if self._window is None:
            return
        self._window.append((token, where))
        if len(self._window) > (self._parameters.penalty_window or 0):
            gone, place = self._window.popleft()
            self._counts[self._slots[gone], place] -= 1

    def _slot(self, token: int) -> int:
        slot = self._slots.setdefault(token, len(self._slots))
        if slot == len(self._ids):
            self._ids = _doubled(self._ids)
            self._counts = _doubled(self._counts)
        self._ids[slot] = token
        return slot


def places_of(
    wanted: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where those of `wanted` that are among `tokens` (ascending, one or more) stand there; which are."""
    places = np.minimum(np.searchsorted(tokens, wanted), len(tokens) - 1)
    are_there = tokens[places] == wanted
    return places[are_there], are_there


def _doubled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([values, np.zeros_like(values)])
