"""Runs models: tokenise, batch, compile to a plan, execute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.engine.engine import ArrowEngine

if TYPE_CHECKING:
    from arrowmind.engine.perplexity import Perplexity

__all__ = ["ArrowEngine", "Perplexity"]


def __getattr__(name: str) -> Any:
    # NumPy is imported once a model is asked for, while its weights are read.
    if name != "Perplexity":
        raise AttributeError(f"module 'arrowmind.engine' has no attribute {name!r}")
    from arrowmind.engine.perplexity import Perplexity  # noqa: PLC0415

    return Perplexity
