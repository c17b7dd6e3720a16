"""Chinese resident identity numbers of 18 places: province, date of birth, check digit (MOD 11-2)."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector, without_separators
from arrowmind.privacy.regions import is_province
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS", "check_digit"]

_NUMBER = re.compile(
    r"[1-8](?<![0-9A-Za-z].)[0-9]{5}([ -]?)(?:18|19|20)[0-9]{6}\1[0-9]{3}[0-9Xx](?![0-9A-Za-z])"
)
_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_CHECKS = "10X98765432"


def check_digit(number: str) -> str:
    """The check digit of 17 digits: 0 to 9 or X."""
    return _CHECKS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number, strict=True)) % 11]


def _is_date(text: str) -> bool:
    try:
        datetime.date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return False
    return True


def _find(text: str) -> Iterator[Span]:
    for match in _NUMBER.finditer(text):
        number = without_separators(match[0]).upper()
        if check_digit(number[:17]) == number[17] and is_province(number) and _is_date(number[6:14]):
            yield Span(match.start(), match.end(), "resident_id", 0.99)


DETECTORS = (Detector("resident_id", _find),)
