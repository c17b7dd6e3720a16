"""Texts cut into sentences, each exactly as it stands in the text."""

from __future__ import annotations

import re

__all__ = ["sentences"]

# A sentence ends with its mark and what closes it, before white space, a line break, or after a mark of
# scripts without spaces. Abbreviations cut too early now and then: a quote stays one.
_END = re.compile("[.!?\u2026]+[\"')\\]\u201d\u2019]*(?=\\s)|[\u3002\uff01\uff1f]+[\u300d\u300f\u201d]*|\n+")
_LONGEST = 1_000


def sentences(text: str, most: int) -> list[str]:
    """At most so many sentences without white space around them; one of over 1,000 signs is cut."""
    found: list[str] = []
    start = 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        for begin in range(start, end, _LONGEST):
            piece = text[begin : min(begin + _LONGEST, end)].strip()
            if piece:
                found.append(piece)
            if len(found) >= most:
                return found
        start = end
    return found
