"""What a query asks, before anything is looked up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arrowmind.memory.ranking.dates import find_spans
from arrowmind.memory.searching.terms import query_terms

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from arrowmind.memory.ranking.dates import Span

__all__ = ["Question", "as_told", "make_question", "names_in", "speaker_of"]

# "Ann: ...", "Ann Lee: ..." at the start of a memory says who spoke.
_SPEAKER = re.compile(r"([^\W\d_][\w.'-]{0,30}(?: [^\W\d_][\w.'-]{0,30}){0,2}):\s")
_QUOTED = re.compile('"([^"]{2,200})"|\u201c([^\u201d]{2,200})\u201d|\u300c([^\u300d]{2,200})\u300d')
_ASKS_TIME = re.compile(
    r"\b(when|how long|how recently|wh(?:at|ich) (?:\w+ )?(?:date|day|month|year|time|week|season))\b"
    r"|什么时候|何时|哪天|哪年|哪个月|几月|几号|多久",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|often|old|far|big|tall)\b|多少|几个|几次|多大", re.IGNORECASE
)
_ENGLISH = re.compile(
    r"\b(?:what|when|where|which|who|whose|why|how|do|does|did|is|are|were|has|have|the|of|would|could)\b",
    re.IGNORECASE,
)


def _replacing(*pairs: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(rf"\b(?:{words})\b", re.IGNORECASE), by) for words, by in pairs)


# Names of speakers are "I" and "my" when these are applied. Of one speaker alone "he" means the same.
_ALONE = _replacing(("he|she", "I"), ("his|her", "my"), ("him", "me"), ("himself|herself", "myself"))
_TOGETHER = _replacing(("I and I", "we"), ("my and my|I and my", "our"))
_AGREEING = _replacing(
    ("does I", "do I"), ("has I", "have I"), ("is I", "am I"), ("I has", "I have"), ("I is", "I am")
)
# A query that is a document says nothing by its names and dates.
_READ_CHARACTERS = 1000


@dataclass(frozen=True)
class Question:
    """A query, taken apart.

    Attributes:
        text: as it was asked.
        terms: distinct terms, each with the word of the query it comes from.
        phrases: what stands in quotation marks, case-folded.
        spans: times it speaks of.
        asks_time: whether it wants to know when.
        asks_number: whether it wants to know how many.
        speakers: of those who spoke in the memories, the ones it names, case-folded.
    """

    text: str
    terms: dict[str, str]
    phrases: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    asks_time: bool = False
    asks_number: bool = False
    speakers: frozenset[str] = frozenset()


def make_question(text: str, now: datetime, speakers: Collection[str] = ()) -> Question:
    """Takes a query apart.

    Args:
        text: the query.
        now: what "yesterday" is relative to.
        speakers: who spoke in the memories that may answer.
    """
    head = text[:_READ_CHARACTERS]
    quoted = (next(filter(None, match.groups())) for match in _QUOTED.finditer(head))
    return Question(
        text=text,
        terms=query_terms(text),
        phrases=tuple(phrase.casefold() for phrase in quoted),
        spans=find_spans(head, now),
        asks_time=_ASKS_TIME.search(head) is not None,
        asks_number=_ASKS_NUMBER.search(head) is not None,
        speakers=names_in(head, speakers),
    )


def speaker_of(text: str) -> str:
    """Who spoke, by "Ann: ..." at the start of a text, case-folded; empty where it does not say."""
    match = _SPEAKER.match(text)
    return match[1].casefold() if match else ""


def names_in(query: str, speakers: Collection[str]) -> frozenset[str]:
    """Those speakers that a query names in full or by their first word."""
    folded = query[:_READ_CHARACTERS].casefold()
    return frozenset(name for name in speakers if name and _pattern(name).search(folded))


def as_told(query: str, speakers: Collection[str]) -> str:
    """The query without the names of speakers, for the encoder: in English, as they would ask it themselves.

    A name is in half of what was said, and in every greeting: small encoders take two texts with the same
    name for near. And who speaks says "I", so "What does Ann collect?" is nearest as "What do I collect?".
    The query itself where nothing else is left of it, or it is long.
    """
    if len(query) > _READ_CHARACTERS or not speakers:
        return query
    english = _ENGLISH.search(query) is not None
    rest = query
    for name in sorted(speakers, key=len, reverse=True):
        rest = _pattern(name).sub(_pronoun if english else " ", rest)
    rest = re.sub(r"\s+([?.!,]|$)", r"\1", re.sub(r"\s+", " ", rest)).strip()
    if not re.search(r"\w", re.sub(r"\b(?:I|my)\b", "", rest)):
        return query
    if not english or rest == query:
        return rest
    for pattern, replacement in _TOGETHER if len(speakers) > 1 else _ALONE:
        rest = pattern.sub(replacement, rest)
    for pattern, replacement in _AGREEING:
        rest = pattern.sub(replacement, rest)
    return rest


def _pronoun(match: re.Match[str]) -> str:
    return " my " if match[0].endswith(("'s", "\u2019s", "'S", "\u2019S")) else " I "


def _pattern(name: str) -> re.Pattern[str]:
    first = name.split(" ")[0]
    both = re.escape(name) if first == name else rf"{re.escape(name)}|{re.escape(first)}"
    return re.compile(rf"(?<!\w)(?:{both})(?:['\u2019]s)?(?!\w)", re.IGNORECASE)
