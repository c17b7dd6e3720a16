"""Other forms of the same signs as plain ones, character by character, so that places stay what they are."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata

__all__ = ["fold"]

_HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2212\ufe58\ufe63"
_BLANKS = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t"
_FULL_WIDTH = range(0xFF01, 0xFF5F)


def fold(text: str) -> str:
    """The text with digits of all scripts, full-width signs, dashes and blanks in their ASCII forms.

    Its length is that of `text`. Line ends stay.
    """
    if text.isascii() and "\t" not in text:
        return text
    table, pattern = _tables()
    return pattern.sub(lambda match: match[0].translate(table), text)


@functools.cache
def _tables() -> tuple[dict[int, str], re.Pattern[str]]:
    table = {code: chr(code - 0xFEE0) for code in _FULL_WIDTH}
    table |= dict.fromkeys(map(ord, _HYPHENS), "-") | dict.fromkeys(map(ord, _BLANKS), " ")
    for code in range(128, sys.maxunicode + 1):
        digit = unicodedata.decimal(chr(code), None)
        if digit is not None:
            table[code] = str(digit)
    return table, re.compile(f"[{''.join(map(re.escape, map(chr, table)))}]+")
