"""Texts that follow a JSON schema, a grammar or a regular expression."""

from __future__ import annotations

from arrowmind.generate.constraint.protocol import TokenConstraint
from arrowmind.generate.constraint.vocabulary import ConstraintVocabulary, GrammarConstraint

__all__ = ["ConstraintVocabulary", "GrammarConstraint", "TokenConstraint"]
