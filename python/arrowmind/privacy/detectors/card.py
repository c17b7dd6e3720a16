"""Payment cards: an issuer's prefix, a length it uses, the Luhn check digit."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS", "has_check_digit"]

_START = r"[1-9](?<![0-9A-Za-z].)(?<![0-9][.,].)"  # not inside a word, not the decimals of a number
_UNBROKEN = re.compile(_START + r"[0-9]{11,18}(?![0-9A-Za-z])")
_GROUPED = re.compile(_START + r"(?=([0-9]{3}(?:[0-9]{2})?([ .-])[0-9]{3,13}(?:\2[0-9]{1,5}){0,3})(?![0-9]))")
_SHAPES = {(4, 6, 5), (4, 6, 4), (6, 13), (6, 10), (4, 3, 3, 3)}
_TOTALS = range(12, 20)

# First four digits from, to; lengths. Where ranges meet, the lengths of all of them count.
_ISSUERS = (
    (4000, 4999, (13, 16, 19)),  # Visa
    (5100, 5599, (16,)),  # Mastercard
    (2221, 2720, (16,)),
    (3400, 3499, (15,)),  # American Express
    (3700, 3799, (15,)),
    (3000, 3059, range(14, 20)),  # Diners Club
    (3095, 3095, range(14, 20)),
    (3600, 3699, range(14, 20)),
    (3800, 3999, range(14, 20)),
    (3528, 3589, range(16, 20)),  # JCB
    (6011, 6011, range(16, 20)),  # Discover
    (6440, 6599, range(16, 20)),
    (6200, 6299, range(16, 20)),  # UnionPay
    (8100, 8199, range(16, 20)),
    (5018, 5018, _TOTALS),  # Maestro
    (5020, 5020, _TOTALS),
    (5038, 5038, _TOTALS),
    (5893, 5893, _TOTALS),
    (6304, 6304, _TOTALS),
    (6759, 6763, _TOTALS),
    (2200, 2204, range(16, 20)),  # Mir
    (5080, 5089, (16,)),  # RuPay
    (6000, 6099, (16,)),
    (8200, 8299, (16,)),
    (5060, 5061, (16, 18, 19)),  # Verve
    (8600, 8600, (16,)),  # Uzcard
    (9792, 9792, (16,)),  # Troy
    (9860, 9860, (16,)),  # Humo
    (1000, 1999, (15,)),  # UATP
)
_DOUBLED = bytes.maketrans(b"0123456789", bytes(2 * i - 9 * (i > 4) for i in range(10)))
_PLAIN = bytes.maketrans(b"0123456789", bytes(range(10)))


def has_check_digit(number: str) -> bool:
    """Whether ASCII digits end with their Luhn check digit."""
    digits = number.encode()
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(odd.translate(_PLAIN)) + sum(even.translate(_DOUBLED))) % 10 == 0


@functools.cache
def _lengths() -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for low, high, lengths in _ISSUERS:
        for prefix in range(low, high + 1):
            found[str(prefix)] = found.get(str(prefix), frozenset()) | frozenset(lengths)
    return found


def _is_card(number: str) -> bool:
    return len(number) in _lengths().get(number[:4], ()) and has_check_digit(number)


def _find(text: str) -> Iterator[Span]:
    for match in _UNBROKEN.finditer(text):
        if _is_card(match[0]):
            yield Span(match.start(), match.end(), "card", 0.9)
    for match in _GROUPED.finditer(text):
        number = match[0] + match[1]
        lengths = _lengths().get(number[:4])
        if lengths is not None and (length := _grouped_length(number, match[2], lengths)):
            yield Span(match.start(), match.start() + length, "card", 0.95)


def _grouped_length(text: str, separator: str, lengths: frozenset[int]) -> int:
    """Characters of the longest card number that whole groups from the first one on make up; 0 if none."""
    groups = text.split(separator)
    total = len(text) - len(groups) + 1
    for count in range(len(groups), 1, -1):
        is_length = total in lengths and _is_shape(tuple(map(len, groups[:count])))
        if is_length and has_check_digit("".join(groups[:count])):
            return total + count - 1
        total -= len(groups[count - 1])
    return 0


def _is_shape(shape: tuple[int, ...]) -> bool:
    in_fours = set(shape[:-1]) == {4} and shape[-1] <= 4
    return in_fours or shape in _SHAPES


DETECTORS = (Detector("card", _find),)
