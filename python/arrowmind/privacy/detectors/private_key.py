"""Private keys in their armour: PEM, OpenSSH, PGP. One without an end is taken as far as it may go."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS"]

_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_MAX_BLOCK = 65_536
# Without an end: lines of base64, as long as they come. What follows cannot fail and have it tried again.
_BODY = re.compile(
    r"(?:(?:\\[rn]|\s)*[A-Za-z0-9+/=]{16,65536}){0,4096}(?:(?:\\[rn]|\s)*[A-Za-z0-9+/]+={1,2})?"
)


def _find(text: str) -> Iterator[Span]:
    ends = [match.end() for match in _END.finditer(text)]
    behind = 0
    for begin in _BEGIN.finditer(text):
        if begin.start() < behind:
            continue
        place = bisect_left(ends, begin.end())
        if place < len(ends) and ends[place] - begin.start() <= _MAX_BLOCK:
            behind = ends[place]
        else:
            body = _BODY.match(text, begin.end())
            behind = body.end() if body else begin.end()
        yield Span(begin.start(), behind, "secret", 0.99)


DETECTORS = (Detector("secret", _find),)
