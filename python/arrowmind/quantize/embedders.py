"""Where calibration and the precision check run a model: the engine, which stands above, registers here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from arrowmind.observe import no_progress
from arrowmind.quantize.foretelling import Foreteller
from arrowmind.quantize.smoothing import InputStatistics

if TYPE_CHECKING:
    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.spec import ModelSpec
    from arrowmind.models.tower_spec import SenseSpec
    from arrowmind.observe import Progress
    from arrowmind.quantize.overlay import HasValues

__all__ = [
    "Calibrator",
    "CalibratorFactory",
    "Embedder",
    "EmbedderFactory",
    "InputGroup",
    "Observer",
    "register_calibrator",
    "register_embedder",
    "register_observer",
    "registered_calibrator",
    "registered_embedder",
    "registered_observer",
]

Embedder = Callable[[list[str]], npt.NDArray[np.floating[Any]]]
"""Texts -> embeddings, float32 [texts, dimension]."""

EmbedderFactory = Callable[[Path], Embedder | Foreteller]
"""Opens the model folder at a path: an encoder embeds texts, a language model foretells them."""

Observer = Callable[[Path, Sequence[str]], list[InputStatistics]]
"""Runs the model folder at a path over texts -> what entered its matrices."""


@dataclass(frozen=True)
class InputGroup:
    """Matrices of a model that read one input.

    Attributes:
        names: of the matrices, for instance query, key and value.
        inputs: length of the input.
        block: of the model, in the order of the forward.
    """

    names: tuple[str, ...]
    inputs: int
    block: int


class Calibrator(Protocol):
    """Reads a model, and runs it over calibration texts with some of its tensors replaced."""

    @property
    def model(self) -> ModelSpec | DecoderSpec | SenseSpec:
        """What the model computes."""

    @property
    def is_decoder(self) -> bool:
        """Whether it is a language model."""

    def tokenise(self, texts: list[str]) -> list[list[int]]:
        """Token ids of texts, special tokens included."""

    @property
    def groups(self) -> Sequence[InputGroup]:
        """All matrices the forward multiplies by, in its order."""

    def moments(
        self,
        groups: Sequence[InputGroup],
        replaced: Mapping[str, HasValues | npt.NDArray[np.float32]],
        progress: Progress = no_progress,
    ) -> list[npt.NDArray[np.float64]]:
        """Mean of x x^T over what enters each group, float64 [inputs, inputs].

        What a group gets does not depend on the others. ``progress`` is told of texts or batches done.
        """

    def embeddings(
        self, replaced: Mapping[str, HasValues | npt.NDArray[np.float32]]
    ) -> npt.NDArray[np.float32]:
        """Embeddings of some of the texts, the same each time, of length 1: float32 [texts, dimension]."""


CalibratorFactory = Callable[[Path, Sequence[str]], Calibrator]
"""Opens the model folder at a path, to run over texts."""

_embedders: list[EmbedderFactory] = []
_observers: list[Observer] = []
_calibrators: list[CalibratorFactory] = []


def register_embedder(factory: EmbedderFactory | None) -> None:
    """Sets what opens a model folder for embedding; None takes it away."""
    _embedders[:] = [] if factory is None else [factory]


def registered_embedder() -> EmbedderFactory | None:
    """What was registered last, or None."""
    return _embedders[0] if _embedders else None


def register_observer(observer: Observer | None) -> None:
    """Sets what watches the inputs of a model's matrices; None takes it away."""
    _observers[:] = [] if observer is None else [observer]


def registered_observer() -> Observer | None:
    """What was registered last, or None."""
    return _observers[0] if _observers else None


def register_calibrator(factory: CalibratorFactory | None) -> None:
    """Sets what runs a model for methods that follow its inputs; None takes it away."""
    _calibrators[:] = [] if factory is None else [factory]


def registered_calibrator() -> CalibratorFactory | None:
    """What was registered last, or None."""
    return _calibrators[0] if _calibrators else None
