"""How memories are told, counted: words of oneself, words of the past, proper names. English only."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.ranking.memories import Told

__all__ = ["count_in_python", "count_tellings"]

# A paragraph tells it as well as a page.
_READ_CHARACTERS = 240
_OF_ONESELF = frozenset(
    form
    for word in ("my", "me", "mine", "we", "our", "us", "we're", "we've")
    for form in (word, word.title())
) | {"I", "I'm", "I've", "I'd", "I'll"}
_HAPPENED = frozenset(
    "was were had did went got made took saw just finally bought won met found".split()  # noqa: SIM905
)
_LISTS = sorted(_OF_ONESELF), sorted(_HAPPENED)
_MARKED = _OF_ONESELF | _HAPPENED


def count_tellings(told: Sequence[Told]) -> npt.NDArray[np.int32]:
    """Words of oneself, words of the past, and proper names but the speaker's: int32 [told, 3]."""
    starts = [_start(item.speaker) for item in told]
    counts = _native.count_tellings([item.text for item in told], starts, _READ_CHARACTERS, *_LISTS)
    for row in np.flatnonzero(counts[:, 0] < 0).tolist():
        counts[row] = count_in_python(told[row].text, told[row].speaker)
    return counts


@lru_cache(maxsize=8192)
def count_in_python(text: str, speaker: str) -> tuple[int, int, int]:
    """The same of one memory with any characters."""
    head = text[_start(speaker) : _READ_CHARACTERS].split(" [shares ", 1)[0]
    words = head.split()
    marked = [word for word in words if word in _MARKED]
    own = sum(map(_OF_ONESELF.__contains__, marked))
    past = len(marked) - own + head.count("ed ")
    # The first word of a sentence is capitalised anyway, and so is "I"; counted, not parsed, as a recall
    # reads some 250 memories.
    begun = head.count(". ") + head.count("! ") + head.count("? ")
    names = max(sum(map(str.istitle, words[1:])) - marked.count("I") - begun, 0)
    return own, past, names


def _start(speaker: str) -> int:
    return len(speaker) + 2 if speaker else 0
