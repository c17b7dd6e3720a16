"""Text -> terms, the same for the index, for what is not indexed yet, and for queries.

Words are runs of letters and digits, case-folded, without accents, English endings taken off. Scripts written
without spaces (Chinese, Japanese, Thai ...) and Hangul give overlapping pairs of characters instead: no
dictionary, and every query of two characters or more finds its text.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from functools import lru_cache
from itertools import groupby, islice

__all__ = ["STOP_WORDS", "TERMS_VERSION", "query_terms", "terms"]

TERMS_VERSION = 1
"""Changes with what `terms` gives: an index made by another version is built again."""

_MAX_TERM = 64
_MAX_QUERY_TERMS = 128

# First and last character of the blocks of scripts without spaces between words, and of Hangul, in order:
# Thai and Lao, Myanmar, Hangul, Khmer, kana, Hangul, kana, Han, Hangul, Han, Han and its extensions.
_UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1100, 0x11FF),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3130, 0x318F),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7FF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_UNSPACED_STARTS = [first for first, _ in _UNSPACED]
_WORD = re.compile("\\w+(?:['\u2019]\\w+)*")

_STOP_LINES = (
    "a about above after again all also am an and any are as at be because been before being below "
    "between both but by can could did do does doing down during each few for from further had has have "
    "having he her here hers him his how i if in into is it its itself just me more most my no nor not of "
    "off on once only or other our out over own same she should so some such than that the their them "
    "then there these they this those through to too under until up very was we were what when where "
    "which while who whom why will with would you your "
)
STOP_WORDS = frozenset(_STOP_LINES.split(" ")) - {""}
"""English words left out of a query that has others: they cost time and say nothing."""


def terms(text: str) -> list[str]:
    """All terms of a text, in order, repeated ones repeated."""
    normal = _normalise(text)
    if normal.isascii():
        return [stem for word in _WORD.findall(normal) if (stem := _stem(word[:_MAX_TERM]))]
    return [term for word in _WORD.findall(normal) for term in _word_terms(word)]


def query_terms(text: str) -> dict[str, str]:
    """Distinct terms of a query in order, each with the word it comes from; at most 128.

    Stop words are among them only where there is nothing else.
    """
    kept: dict[str, str] = {}
    stopped: dict[str, str] = {}
    for match in _WORD.finditer(_normalise(text)):
        word = match.group()
        found = _word_terms(word)
        target = stopped if word in STOP_WORDS else kept
        for term in found:
            target.setdefault(term, word if len(found) == 1 else term)
        if len(kept) >= _MAX_QUERY_TERMS:
            break
    return dict(islice((kept or stopped).items(), _MAX_QUERY_TERMS))


def _normalise(text: str) -> str:
    folded = text.casefold()
    if folded.isascii():
        return folded
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", folded))
    return unicodedata.normalize("NFC", "".join(filter(_is_kept, decomposed)))


def _is_kept(char: str) -> bool:
    """Drops accents, and vowel signs that would cut words; keeps the marks that voice kana."""
    return char in "\u3099\u309a" or not unicodedata.category(char).startswith("M")


def _word_terms(word: str) -> list[str]:
    if word.isascii():
        return _spaced_terms(word)
    found = []
    for unspaced, run in groupby(word, key=_is_unspaced):
        part = "".join(run)
        found += _pairs(part) if unspaced else _spaced_terms(part)
    return found


def _spaced_terms(word: str) -> list[str]:
    stem = _stem(word[:_MAX_TERM])
    return [stem] if stem else []


def _is_unspaced(char: str) -> bool:
    code = ord(char)
    block = bisect.bisect_right(_UNSPACED_STARTS, code) - 1
    return block >= 0 and code <= _UNSPACED[block][1]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


@lru_cache(maxsize=16_384)
def _stem(word: str) -> str:
    """Takes off English endings, lightly: s, -ing, -ed, -ly; never below three letters."""
    word = word.replace("\u2019", "'")
    word = word.removesuffix("'s").replace("'", "")
    if not word.isascii() or not word.isalpha():
        return word
    for ending, replacement in _ENDINGS:
        if word.endswith(ending):
            stem = word[: -len(ending)] + replacement
            return _tidy(stem if len(stem) >= 3 and _VOWEL.search(stem) else word)
    return _tidy(word)


# The first ending that fits is taken off. "ss" and "us" protect words such as class and campus.
_ENDINGS = (
    ("sses", "ss"),
    ("ies", "y"),
    ("ings", ""),
    ("ing", ""),
    ("edly", ""),
    ("ied", "y"),
    ("ed", ""),
    ("ss", "ss"),
    ("us", "us"),
    ("is", "is"),
    ("s", ""),
    ("ly", ""),
)
_VOWEL = re.compile("[aeiouy]")
_DOUBLE = re.compile(r"([bdfgmnprt])\1$")


def _tidy(stem: str) -> str:
    """Makes hopp and hop, love and lov one."""
    if len(stem) <= 3:
        return stem
    return stem[:-1] if stem.endswith("e") else _DOUBLE.sub(r"\1", stem)
