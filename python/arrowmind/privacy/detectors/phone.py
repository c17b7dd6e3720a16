"""Telephone numbers: international, Chinese, North American in groups; any behind a word for telephone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.privacy.calling_codes import has_calling_code
from arrowmind.privacy.detector import Detector
from arrowmind.privacy.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DETECTORS"]

_REST = r"(?:[ ().\-/]{0,3}[0-9])"
_NO_WORD = r"(?<![0-9A-Za-z].)(?<![0-9][.,].)"
_INTERNATIONAL = re.compile(rf"\+(?<![0-9A-Za-z+].)[1-9]{_REST}{{6,14}}(?![0-9])")
_DIALLED = re.compile(rf"0{_NO_WORD}0[ -]?[1-9]{_REST}{{9,14}}(?![0-9A-Za-z])")
_NATIONAL = (
    # Chinese mobile, with or without 86; Chinese landline with its area; North American.
    (
        re.compile(
            rf"[18]{_NO_WORD}(?:(?<=8)6[ -]?1)?(?<=1)[3-9][0-9]([ -]?)[0-9]{{4}}\1[0-9]{{4}}(?![0-9A-Za-z])"
        ),
        0.9,
    ),
    (
        re.compile(
            rf"[0(]{_NO_WORD}(?:(?<=\()0)?(?:10|2[0-9]|[3-9][0-9]{{2}})"
            r"[)-][ -]?[2-9][0-9]{6,7}(?![0-9A-Za-z])"
        ),
        0.8,
    ),
    (
        re.compile(rf"[2-9]{_NO_WORD}[0-9]{{2}}([ .-])[2-9][0-9]{{2}}\1[0-9]{{4}}(?![0-9A-Za-z])"),
        0.75,
    ),
    (
        re.compile(r"\((?<![0-9A-Za-z].)[2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-][0-9]{4}(?![0-9A-Za-z])"),
        0.85,
    ),
)
_ANY = re.compile(rf"[0-9(]{_NO_WORD}(?:(?<=\()[0-9])?{_REST}{{5,14}}(?![0-9A-Za-z])")
_WORDS = (
    "tel|phone|mobile|cell|fax|whatsapp|(?:call|text|reach) (?:me|us) (?:at|on)|"
    "\u7535\u8bdd|\u624b\u673a|\u5ea7\u673a|\u8054\u7cfb"
)
_WORD_BEFORE = re.compile(rf"(?:{_WORDS})[^0-9\n]{{0,16}}\Z", re.IGNORECASE)
_WORD_AND_GAP = 28


def _find(text: str) -> Iterator[Span]:
    for pattern, confidence in ((_INTERNATIONAL, 0.9), (_DIALLED, 0.6)):
        for match in pattern.finditer(text):
            digits = "".join(filter(str.isdigit, match[0])).removeprefix("00")
            if has_calling_code(digits):
                yield Span(match.start(), match.end(), "phone", confidence)
    for pattern, confidence in _NATIONAL:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), "phone", confidence)
    for match in _ANY.finditer(text):
        if _WORD_BEFORE.search(text[max(0, match.start() - _WORD_AND_GAP) : match.start()]):
            yield Span(match.start(), match.end(), "phone", 0.65)


DETECTORS = (Detector("phone", _find),)
