"""Where calibration and the precision check run a model: the engine, which stands above, registers here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arrowmind.quantize.smoothing import InputStatistics

__all__ = [
    "Embedder",
    "EmbedderFactory",
    "Observer",
    "register_embedder",
    "register_observer",
    "registered_embedder",
    "registered_observer",
]

Embedder = Callable[[list[str]], npt.NDArray[np.floating[Any]]]
"""Texts -> embeddings, float32 [texts, dimension]."""

EmbedderFactory = Callable[[Path], Embedder]
"""Opens the model folder at a path."""

Observer = Callable[[Path, Sequence[str]], list[InputStatistics]]
"""Runs the model folder at a path over texts -> what entered its matrices."""

_embedders: list[EmbedderFactory] = []
_observers: list[Observer] = []


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
