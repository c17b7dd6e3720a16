"""From the answer of a language model to derived memories; what it cannot prove is dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from arrowmind.consolidate.quotes import find_quote, is_supported
from arrowmind.consolidate.records import DerivedMemory, Quote, shared_category
from arrowmind.memory.times import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arrowmind.consolidate.records import SourceMemory
    from arrowmind.consolidate.store import KnownFact

__all__ = ["Checked", "check_facts"]

_MAX_STATEMENT = 1_000
_MAX_SOURCES = 64


@dataclass(frozen=True)
class Checked:
    """What is left of an answer.

    Attributes:
        derived: facts that hold, those of one change.
        closings: until when known facts hold that are contradicted, by id.
        dropped: how many facts were thrown away, by reason.
    """

    derived: tuple[DerivedMemory, ...]
    closings: Mapping[int, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _Fact:
    place: int
    statement: str
    quotes: tuple[Quote, ...]
    since: int
    replaces: list[str]


def check_facts(
    answer: Mapping[str, Any],
    sources: Sequence[SourceMemory],
    known: Sequence[KnownFact],
    *,
    most: int,
    made_by: str,
) -> Checked:
    """Keeps the facts whose quotes stand in the memories they cite.

    Args:
        answer: an object; that it follows the schema is not relied on.
        sources: the memories that were shown; at least one.
        known: the facts that were shown.
        most: facts at most.
        made_by: what answered.
    """
    by_id = {source.id: source for source in sources}
    dropped: Counter[str] = Counter()
    facts: list[_Fact] = []
    entries = answer.get("facts")
    entries = entries if isinstance(entries, list) else []
    dropped["too many"] += max(0, len(entries) - most)
    for place, entry in enumerate(entries[:most]):
        fact = _fact(place, entry, by_id)
        if isinstance(fact, str):
            dropped[fact] += 1
        elif any(fact.statement == other.statement for other in facts):
            dropped["said twice"] += 1
        else:
            facts.append(fact)
    derived, closings = _related(facts, known)
    labels: dict[str, Any] = {"namespace": sources[0].namespace, "category": shared_category(sources)}
    named = tuple(replace(memory, made_by=made_by, **labels) for memory in derived)
    return Checked(named, closings, {reason: count for reason, count in dropped.items() if count})


def _fact(place: int, entry: object, sources: Mapping[int, SourceMemory]) -> _Fact | str:
    """The fact, or why it is none."""
    if not isinstance(entry, dict):
        return "no object"
    statement = entry.get("statement")
    statement = " ".join(statement.split()) if isinstance(statement, str) else ""
    if not statement or len(statement) > _MAX_STATEMENT:
        return "no statement"
    cited = entry.get("sources")
    quotes = [_quote(item, sources) for item in cited[:_MAX_SOURCES]] if isinstance(cited, list) else []
    found = tuple(dict.fromkeys(quote for quote in quotes if quote is not None))
    if not found or len(quotes) > sum(quote is not None for quote in quotes):
        return "no such quote"
    shown = [sources[quote.source] for quote in found]
    if not is_supported(statement, shown):
        return "not in its sources"
    replaces = entry.get("replaces")
    names = [name for name in replaces if isinstance(name, str)] if isinstance(replaces, list) else []
    return _Fact(place, statement, found, min(source.timestamp for source in shown), names)


def _quote(item: object, sources: Mapping[int, SourceMemory]) -> Quote | None:
    if not isinstance(item, dict):
        return None
    id_, text = item.get("id"), item.get("quote")
    if isinstance(id_, bool) or not isinstance(id_, int) or not isinstance(text, str) or id_ not in sources:
        return None
    passage = find_quote(text, sources[id_].text)
    return None if passage is None else Quote(id_, passage)


def _related(
    facts: Sequence[_Fact], known: Sequence[KnownFact]
) -> tuple[list[DerivedMemory], dict[int, int]]:
    """Contradicted facts stay, with an end: the moment from which the newer holds. None ends a newer one."""
    kept = {fact.place: number for number, fact in enumerate(facts)}
    begins = {fact.id: fact.valid_from for fact in known}
    ends = [NEVER] * len(facts)
    here: list[set[int]] = [set() for _ in facts]
    there: list[set[int]] = [set() for _ in facts]
    closings: dict[int, int] = {}
    for number, fact in enumerate(facts):
        for name in fact.replaces:
            kind, _, text = name.partition(":")
            target = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
            if kind == "fact" and target in kept and facts[kept[target]].since < fact.since:
                other = kept[target]
                ends[other] = fact.since if ends[other] == NEVER else min(ends[other], fact.since)
                here[number].add(other)
            elif kind == "known" and target in begins and begins[target] < fact.since:
                closings[target] = min(closings.get(target, fact.since), fact.since)
                there[number].add(target)
    derived = [
        DerivedMemory(
            fact.statement,
            fact.quotes,
            valid_from=fact.since,
            valid_to=ends[number],
            replaces=tuple(sorted(there[number])),
            replaces_here=tuple(sorted(here[number])),
        )
        for number, fact in enumerate(facts)
    ]
    return derived, closings
