"""Spaces of vectors: that of texts, which every memory has a row in, and those of other kinds of content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["AUDIO", "HOME", "IMAGE", "JOINT", "TEXT", "SpaceRow", "all_spaces", "insert_space"]

HOME = 0
"""Number of the space of texts. Its rows carry texts and metadata, too."""
TEXT, IMAGE, AUDIO, JOINT = "text", "image", "audio", "joint"
"""Names of the spaces that this package fills by itself; callers may add others."""


@dataclass(frozen=True)
class SpaceRow:
    """A space, as the catalogue names it: vectors of one encoder."""

    id: int
    name: str
    dimension: int
    encoder: str


def all_spaces(db: sqlite3.Connection) -> list[SpaceRow]:
    """All spaces that have had a vector, that of texts first."""
    facts = dict(db.execute("SELECT name, value FROM setting WHERE name IN ('dimension', 'encoder')"))
    home = [SpaceRow(HOME, TEXT, int(facts["dimension"]), str(facts["encoder"]))] if facts else []
    rows = db.execute("SELECT id, name, dimension, encoder FROM space ORDER BY id")
    return [*home, *(SpaceRow(*row) for row in rows)]


def insert_space(db: sqlite3.Connection, name: str, dimension: int, encoder: str) -> int:
    """Adds a space; returns its number."""
    statement = "INSERT INTO space (name, dimension, encoder) VALUES (?, ?, ?)"
    return int(db.execute(statement, (name, dimension, encoder)).lastrowid or 0)
