"""Whether a fact is said by the memories it cites.

A quote counts if its words stand in the cited memory one after the other, sign by sign; only runs of white
space may differ. What is stored is the passage as it stands in the memory. Beyond the quote, every number of
a statement must stand in a cited memory (or in its date), and so must half of its other words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arrowmind.memory.searching.terms import query_terms, terms
from arrowmind.memory.times import from_microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.consolidate.records import SourceMemory

__all__ = ["find_quote", "is_supported"]

_MIN_SIGNS = 3
_MAX_SIGNS = 2_000
_SHARE = 0.5
_NUMBER = re.compile(r"\d+")


def find_quote(quote: str, source: str) -> str | None:
    """The passage of the source that the quote gives; None where there is none.

    A quote of fewer than three signs proves nothing, unless it is the whole source.
    """
    words = quote.split()
    signs = sum(map(len, words))
    if not words or signs > _MAX_SIGNS:
        return None
    if signs < _MIN_SIGNS and source.split() != words:
        return None
    found = re.search(r"\s+".join(map(re.escape, words)), source)
    return found.group() if found else None


def is_supported(statement: str, sources: Sequence[SourceMemory]) -> bool:
    """Whether numbers and half of the words of a statement come from its sources."""
    dates = [from_microseconds(source.timestamp) for source in sources]
    said = " ".join(source.text for source in sources)
    numbers = {number.lstrip("0") for number in _NUMBER.findall(said)}
    numbers |= {str(part) for date in dates for part in (date.year, date.month, date.day)}
    if not {number.lstrip("0") for number in _NUMBER.findall(statement)} <= numbers:
        return False
    wanted = {term for term in query_terms(statement) if not term.isdigit()}
    known = set(terms(said)) | {term for date in dates for term in terms(f"{date:%B %A}")}
    return len(wanted & known) >= _SHARE * len(wanted)
