"""Texts that follow a JSON schema, a grammar or a regular expression."""

from __future__ import annotations

from arrowmind.generate.constraint.protocol import TokenConstraint

__all__ = ["TokenConstraint"]
