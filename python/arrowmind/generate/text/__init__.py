"""Token ids to text as they come, and the texts that end it."""

from __future__ import annotations

from arrowmind.generate.text.detokenizer import Detokenizer
from arrowmind.generate.text.pieces import TokenPieces
from arrowmind.generate.text.stops import StopMatcher

__all__ = ["Detokenizer", "StopMatcher", "TokenPieces"]
