"""BM25 over the memories that the text index does not hold yet, by the formula of the index."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from arrowmind.memory.searching.terms import terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Postings", "matched_words"]

_K1 = 1.2
_B = 0.75


class Postings:
    """An inverted list in memory. Memories are added and never removed; make a new one to forget."""

    def __init__(self) -> None:
        self._lengths: dict[int, int] = {}
        self._lists: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._terms = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __contains__(self, id_: int) -> bool:
        return id_ in self._lengths

    @property
    def terms(self) -> int:
        """Terms of all memories together."""
        return self._terms

    def add(self, id_: int, text: str) -> None:
        """Adds a memory, unless it is there."""
        if id_ in self._lengths:
            return
        counts = Counter(terms(text))
        for term, count in counts.items():
            self._lists[term].append((id_, count))
        self._lengths[id_] = sum(counts.values())
        self._terms += self._lengths[id_]

    def frequency(self, term: str) -> int:
        """Memories that hold a term."""
        return len(self._lists.get(term, ()))

    def holders(self, term: str) -> list[int]:
        """Ids of those memories."""
        return [id_ for id_, _ in self._lists.get(term, ())]

    def scores(
        self, query: Sequence[str], indexed: Mapping[str, int], indexed_records: int, indexed_terms: int
    ) -> dict[int, float]:
        """Scores of all memories that hold a term of the query.

        Args:
            query: distinct terms.
            indexed: memories in the text index that hold each term.
            indexed_records: memories in the text index.
            indexed_terms: their terms together.
        """
        records = len(self) + indexed_records
        mean = (self._terms + indexed_terms) / records if records else 0.0
        scores: defaultdict[int, float] = defaultdict(float)
        for term in query:
            postings = self._lists.get(term, ())
            holders = len(postings) + indexed.get(term, 0)
            weight = (1 + _K1) * math.log(1 + (records - holders + 0.5) / (holders + 0.5))
            for id_, count in postings:
                norm = _K1 * (1 - _B + _B * self._lengths[id_] / mean)
                scores[id_] += weight * count / (count + norm)
        return dict(scores)


def matched_words(text: str, query: Mapping[str, str]) -> tuple[str, ...]:
    """Words of the query (term -> word) that the text holds in some form, in the order of the query."""
    held = set(terms(text))
    return tuple(word for term, word in query.items() if term in held)
