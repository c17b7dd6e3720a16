"""Chinese unified social credit codes of organisations (GB 32100): 18 places, check character modulo 31."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.regions import is_province
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS", "SIGNS", "check_character"]

SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CODE = re.compile(rf"[1-9ANY](?<![0-9A-Za-z].)[{SIGNS}][0-9]{{6}}[{SIGNS}]{{10}}(?![0-9A-Za-z])")
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_VALUES = {sign: value for value, sign in enumerate(SIGNS)}


def check_character(code: str) -> str:
    """The check character of the 17 before it."""
    total = sum(weight * _VALUES[sign] for weight, sign in zip(_WEIGHTS, code, strict=True))
    return SIGNS[-total % 31]


def _find(text: str) -> Iterator[Span]:
    for match in _CODE.finditer(text):
        code = match[0]
        if is_province(code[2:]) and check_character(code[:17]) == code[17]:
            yield Span(match.start(), match.end(), "uscc", 0.9)


DETECTORS = (Detector("uscc", _find),)
