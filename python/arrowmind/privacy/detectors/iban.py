"""International bank account numbers: the length of the country, two check digits modulo 97."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from arrowmind.privacy.detector import Detector, without_separators
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS", "LENGTHS", "check_digits"]

_TABLE = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20
EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30
KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23
PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26
UA29 VA22 VG24 XK20 YE30
"""
LENGTHS = {entry[:2]: int(entry[2:]) for entry in _TABLE.split()}
"""Characters by country."""

_HEAD = re.compile(r"[A-Za-z](?<![0-9A-Za-z].)[A-Za-z][0-9]{2}(?=[ -]?[0-9A-Za-z]{3})")


def check_digits(country: str, account: str) -> str:
    """The two check digits of an account number in capitals and digits."""
    return f"{98 - _number(account + country + '00') % 97:02d}"


def _number(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text))


@functools.cache
def _body(length: int) -> re.Pattern[str]:
    """In one piece, or in groups of four of which the last may be shorter."""
    groups, rest = divmod(length, 4)
    last = rf"\1[0-9A-Za-z]{{{rest}}}" if rest else ""
    grouped = rf"[0-9A-Za-z]{{4}}([ -])[0-9A-Za-z]{{4}}(?:\1[0-9A-Za-z]{{4}}){{{groups - 2}}}{last}"
    return re.compile(rf"(?:{grouped}|[0-9A-Za-z]{{{length}}})(?![0-9A-Za-z])")


def _find(text: str) -> Iterator[Span]:
    for head in _HEAD.finditer(text):
        length = LENGTHS.get(head[0][:2].upper())
        match = _body(length).match(text, head.start()) if length else None
        if match is not None:
            number = without_separators(match[0]).upper()
            if _number(number[4:] + number[:4]) % 97 == 1:
                yield Span(match.start(), match.end(), "iban", 0.98)


DETECTORS = (Detector("iban", _find),)
