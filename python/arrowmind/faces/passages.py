"""Long texts in passages: pieces of some hundred words that lose nothing but white space between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PASSAGE_WORDS", "Passage", "passages"]

PASSAGE_WORDS = 300
"""Words of a passage at most: what an encoder reads in two windows, and a person at a glance."""
# Writing without blanks counts by characters; so does a line of hexadecimal digits.
_LONGEST_WORD = 8
_BREAKS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"[.!?\u3002\uff01\uff1f][\"')\]]*\s*"),
    re.compile(r"\s"),
)


@dataclass(frozen=True)
class Passage:
    """A piece of a text.

    Attributes:
        text: the piece, verbatim, without white space around it.
        line: the line of the whole text that it begins in, from 1.
    """

    text: str
    line: int


def passages(text: str, words: int = PASSAGE_WORDS) -> Iterator[Passage]:
    """The pieces of a text, in order: cut at the last paragraph that fits, else line, sentence, blank.

    Args:
        text: any text; one of white space has no pieces.
        words: of a piece at most, a word of more than 8 characters counted as several.
    """
    start, line = 0, 1
    while start < len(text):
        end = _end(text, start, words)
        piece = text[start:end]
        if piece.strip():
            blank = len(piece) - len(piece.lstrip())
            yield Passage(piece.strip(), line + piece.count("\n", 0, blank))
        line += piece.count("\n")
        start = end


def _end(text: str, start: int, words: int) -> int:
    """Where the piece ends that begins at `start`."""
    limit = _limit(text, start, words)
    if limit == len(text):
        return limit
    for pattern in _BREAKS:
        # Not in the first half: a short paragraph should not stand alone before a long one.
        found = [match.end() for match in pattern.finditer(text, start + (limit - start) // 2, limit)]
        if found:
            return found[-1]
    return limit


def _limit(text: str, start: int, words: int) -> int:
    count, most = 0.0, min(len(text), start + words * 2 * _LONGEST_WORD)
    for match in re.compile(r"\S+\s*").finditer(text, start, most):
        size = max(1.0, (match.end() - match.start()) / (2 * _LONGEST_WORD))
        if count + size > words:
            return match.start() if match.start() > start else most
        count += size
    return most
