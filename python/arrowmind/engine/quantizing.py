"""The quantiser with the engine behind its precision check: what `arrowmind.ArrowQuantizer` is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.engine.engine import ArrowEngine
from arrowmind.quantize import ArrowQuantizer, Embedder, QuantizationConfig, register_embedder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ArrowQuantizer", "QuantizationConfig"]


def _open(path: Path) -> Embedder:
    return ArrowEngine(path).encode


register_embedder(_open)
