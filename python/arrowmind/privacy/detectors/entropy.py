"""Long tokens that look random: capitals, small letters and digits that keep changing places."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS"]

_TOKEN = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_PART = re.compile(r"[^/]{24,}")
_BEFORE_PATHS = tuple("./:~")
"""Behind these a token is the rest of a path or URL, and its parts are looked at one by one."""

_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_MAX_CHARACTERS = 512
"""Longer ones are data, not keys: pictures in base64."""

_MIN_BITS = 3.6
_MIN_PIECES = 0.32
"""Pieces (words of any case, numbers) per character: 0.44 in random base62, 0.2 in names of programs."""

_MIN_CHARACTERS = 20
_HAS_DIGIT = re.compile("[0-9]")
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def _find(text: str) -> Iterator[Span]:
    for match in _TOKEN.finditer(text):
        is_path = text[max(0, match.start() - 1) : match.start()] in _BEFORE_PATHS
        for part in _PART.finditer(match[0]) if is_path else [match]:
            start = part.start() + (match.start() if is_path else 0)
            if len(part[0]) <= _MAX_CHARACTERS and _is_random(_UUID.sub("", part[0])):
                yield Span(start, start + len(part[0]), "secret", 0.6)


def _is_random(token: str) -> bool:
    pieces = _PIECE.findall(token)
    count = sum(map(len, pieces))
    if count < _MIN_CHARACTERS or len(pieces) < _MIN_PIECES * count:
        return False
    return (
        not (token.isupper() or token.islower())
        and _HAS_DIGIT.search(token) is not None
        and _bits(token) >= _MIN_BITS
    )


def _bits(token: str) -> float:
    """Shannon entropy of a character."""
    total = len(token)
    return -sum(n / total * math.log2(n / total) for n in Counter(token).values())


DETECTORS = (Detector("secret", _find),)
