"""Where the precision check gets embeddings from: the engine, which stands above, registers itself here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Embedder", "EmbedderFactory", "register_embedder", "registered_embedder"]

Embedder = Callable[[list[str]], npt.NDArray[np.floating[Any]]]
"""Texts -> embeddings, float32 [texts, dimension]."""

EmbedderFactory = Callable[[Path], Embedder]
"""Opens the model folder at a path."""

_registered: list[EmbedderFactory] = []


def register_embedder(factory: EmbedderFactory | None) -> None:
    """Sets what opens a model folder for embedding; None takes it away."""
    _registered[:] = [] if factory is None else [factory]


def registered_embedder() -> EmbedderFactory | None:
    """What was registered last, or None."""
    return _registered[0] if _registered else None
