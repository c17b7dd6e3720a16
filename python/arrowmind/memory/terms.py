"""Text -> terms, the same for the index, for what is not indexed yet, and for queries.

Words are runs of letters and digits, case-folded, without accents, English endings taken off. Scripts written
without spaces (Chinese, Japanese, Thai ...) and Hangul give overlapping pairs of characters instead: no
dictionary, and every query of two characters or more finds its text.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["STOP_WORDS", "query_terms", "terms"]

_MAX_TERM = 64
_MAX_QUERY_TERMS = 128

# Scripts without spaces between words: Thai to Myanmar, Hangul, kana, Han with its extensions.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])\w)+(?:['\u2019](?:(?![{_UNSPACED}])\w)+)*")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")

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
    found: list[str] = []
    for run in _RUN.findall(_normalise(text)):
        if _IS_UNSPACED.match(run):
            found.extend(_pairs(run))
        else:
            found.append(_stem(run)[:_MAX_TERM])
    return found


def query_terms(text: str) -> list[str]:
    """Distinct terms of a query in order; stop words only where there is nothing else. At most 128."""
    kept: dict[str, None] = {}
    stopped: dict[str, None] = {}
    for run in _RUN.findall(_normalise(text)):
        target = stopped if run in STOP_WORDS else kept
        target.update(dict.fromkeys(terms(run)))
        if len(kept) >= _MAX_QUERY_TERMS:
            break
    return list(kept or stopped)[:_MAX_QUERY_TERMS]


def _normalise(text: str) -> str:
    folded = text.casefold()
    if folded.isascii():
        return folded
    folded = unicodedata.normalize("NFKC", folded)
    # Accents of spaced scripts fall away; decomposing Hangul or kana would take them apart.
    return "".join(_without_accents(char) if "\u00c0" <= char <= "\u1fff" else char for char in folded)


def _without_accents(char: str) -> str:
    if _IS_UNSPACED.match(char):
        return char
    base = unicodedata.normalize("NFD", char)
    return "".join(part for part in base if not unicodedata.combining(part))


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _stem(word: str) -> str:
    """Takes off English endings, lightly: s, -ing, -ed, -ly; never below three letters."""
    word = word.replace("\u2019", "'")
    word = word.removesuffix("'s").replace("'", "")
    if not word.isascii() or not word.isalpha():
        return word
    for ending, replacement in _ENDINGS:
        if word.endswith(ending):
            stem = word[: -len(ending)] + replacement
            return _tidy(stem) if len(stem) >= 3 and _VOWEL.search(stem) else word
    return word


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
    stem = _DOUBLE.sub(r"\1", stem)
    return stem[:-1] if stem.endswith("e") and len(stem) > 3 else stem
