"""Runs models: tokenise, batch, compile to a plan, execute."""

from __future__ import annotations

from arrowmind.engine.engine import ArrowEngine
from arrowmind.engine.perplexity import Perplexity

__all__ = ["ArrowEngine", "Perplexity"]
