"""United States social security numbers in their groups; no check digit, only ranges never issued."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS"]

_NUMBER = re.compile(
    r"[0-8](?<![0-9A-Za-z.-].)[0-9]{2}([ -])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![0-9A-Za-z-])"
)


def _find(text: str) -> Iterator[Span]:
    for match in _NUMBER.finditer(text):
        if match[0][:3] not in ("000", "666"):
            yield Span(match.start(), match.end(), "ssn", 0.85 if match[1] == "-" else 0.6)


DETECTORS = (Detector("ssn", _find),)
