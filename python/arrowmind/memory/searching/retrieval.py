"""One recall: two legs, fusion, and the memories behind the best candidates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.records import Explanation, Hit, Record, SpaceMatch, TextMatch, VectorMatch
from arrowmind.memory.searching.associating import associate, linked_from, strongest
from arrowmind.memory.searching.bm25 import matched_words
from arrowmind.memory.searching.calibration import baseline
from arrowmind.memory.searching.fusion import Candidate, Fused, fuse
from arrowmind.memory.searching.judging import judged, reach
from arrowmind.memory.searching.labels import Labels
from arrowmind.memory.searching.ranked import examine, order
from arrowmind.memory.searching.store_view import StoreMemories
from arrowmind.memory.searching.vector_search import cosines_of, nearest, similarities
from arrowmind.memory.storage.lifecycle_tables import TIERS
from arrowmind.memory.storage.numbering import distinct
from arrowmind.memory.storage.spaces import TEXT
from arrowmind.memory.storage.traits import DEFAULT_NAMESPACE, HAS_TEXT, ORIGINS, modalities_of
from arrowmind.memory.times import from_microseconds, from_optional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from arrowmind.memory.ranking.memories import Edges, TermStatistics, Told
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.attachments import Attachment
    from arrowmind.memory.storage.blocks import Block, Filter, Space
    from arrowmind.memory.storage.lifecycle_tables import Derivation
    from arrowmind.memory.storage.rows import Content
    from arrowmind.memory.storage.snapshot import Snapshot

    FloatArray = npt.NDArray[np.float32]
    Details = Callable[[int], "Detail"]
    TextLeg = Callable[[Snapshot, list[str], int, Filter], list[tuple[int, float]]]
    Statistics = Callable[[Snapshot, Sequence[str]], TermStatistics]
    LinksOf = Callable[[Sequence[int]], Edges]

__all__ = [
    "Detail",
    "Question",
    "Sources",
    "make_record",
    "propose",
    "rank",
    "search_depth",
    "to_hits",
    "view",
    "without_echoes",
]

# Beyond this many characters the terms of a hit are not looked up for its explanation.
_EXPLAINED_CHARACTERS = 100_000


@dataclass(frozen=True)
class Question:
    """What is asked of a store.

    Attributes:
        parts: vectors float32 [dimension] of length 1 by part of the query and space; none leaves meaning
            out.
        text: the query as it was asked; empty where it is none of words.
        terms: distinct terms, each with the word of the query it comes from; empty leaves words out.
        top_k: how many hits.
        wanted: which memories.
        believed: how far vectors are to be believed, by part and space; others fully.
        spare: how many more to rank, in case some hits are left out.
        by: the field that memories of an episode share; None for the time they were told.
    """

    parts: Mapping[str, Mapping[str, FloatArray]]
    text: str
    terms: dict[str, str]
    top_k: int
    wanted: Filter
    believed: Mapping[tuple[str, str], float] = field(default_factory=dict)
    spare: int = 0
    by: str | None = None

    @property
    def words_alone(self) -> bool:
        """Whether nothing but a text is asked for."""
        return bool(self.text) and set(self.parts) <= {TEXT}

    @property
    def vector(self) -> FloatArray | None:
        """The text of the query among the texts of memories."""
        return self.parts.get(TEXT, {}).get(TEXT)

    @property
    def others(self) -> list[tuple[str, str, FloatArray]]:
        """All other (part, space, vector)."""
        return [
            (part, space, vector)
            for part, vectors in self.parts.items()
            for space, vector in vectors.items()
            if (part, space) != (TEXT, TEXT)
        ]


@dataclass(frozen=True)
class Sources:
    """Where a recall looks, beside the vectors.

    Attributes:
        words: the text leg: (id, BM25) of the best memories for some terms.
        statistics: how common terms are.
        links: what memories are linked with.
        told: what this recall has read of memories, by id.
    """

    words: TextLeg
    statistics: Statistics
    links: LinksOf
    told: dict[int, Told] = field(default_factory=dict)


def rank(snapshot: Snapshot, question: Question, sources: Sources, settings: RecallSettings) -> list[Fused]:
    """The best memories, best first, and those to spare."""
    count = question.top_k + question.spare
    candidates = propose(snapshot, question, sources, settings)
    memories = view(snapshot, question, sources)
    ranked = _ranked(snapshot, question, candidates, memories, settings, reach(count, settings))
    read = question.text if question.words_alone else ""
    return judged(read, ranked, memories, settings)[:count]


def _ranked(
    snapshot: Snapshot,
    question: Question,
    candidates: dict[int, Candidate],
    memories: StoreMemories,
    settings: RecallSettings,
    count: int,
) -> list[Fused]:
    parts = tuple(question.parts) or (TEXT,)
    if settings.by_signals and question.words_alone:
        examined = examine(question.text, candidates, memories, question.wanted.now)
        return order(examined, candidates, memories, settings, count)
    fused = fuse(candidates.values(), settings, parts)
    if settings.by_links and any(part != TEXT for part in parts) and fused:
        linked = linked_from(fused, memories)
        new = strongest(linked, list(candidates))
        _add(snapshot, question, candidates, new)
        # What the walk adds has no words in common with the query, so the scores of the others stay.
        joined = [*fused, *fuse((candidates[id_] for id_ in new), settings, parts)]
        fused = associate(joined, linked, settings, count)
    return fused[:count]


def _add(
    snapshot: Snapshot, question: Question, candidates: dict[int, Candidate], new: Sequence[int]
) -> None:
    """Takes memories in that no leg proposed, with what each space says of them."""
    candidates.update((id_, Candidate(id_)) for id_ in new)
    for part, name, vector in question.others:
        space = snapshot.space(name)
        if space is not None:
            _compare(space, (part, name, vector), question, candidates, list(new), {})
    if question.vector is not None:
        _complete(snapshot, question.vector, candidates)


def without_echoes(ranked: list[Fused], quotes: Mapping[int, set[int]], top_k: int) -> list[Fused]:
    """The best without extracts of one of the best: what they quote stands there in full.

    Args:
        ranked: best first.
        quotes: sources of those that are extracts.
        top_k: how many.
    """
    best = {item.candidate.id for item in ranked[:top_k]}
    return [item for item in ranked if not quotes.get(item.candidate.id, set()) & best][:top_k]


def view(snapshot: Snapshot, question: Question, sources: Sources) -> StoreMemories:
    """The store as ranking sees it."""
    return StoreMemories(
        snapshot,
        question.vector,
        question.wanted,
        lambda terms: sources.statistics(snapshot, terms),
        sources.links,
        sources.told,
        Labels(snapshot, question.by),
    )


def search_depth(settings: RecallSettings, top_k: int) -> int:
    """How many memories each leg proposes."""
    return max(settings.depth, 4 * top_k)


def propose(
    snapshot: Snapshot, question: Question, sources: Sources, settings: RecallSettings
) -> dict[int, Candidate]:
    """What the legs find, by id."""
    depth = search_depth(settings, question.top_k)
    candidates: dict[int, Candidate] = {}
    if question.vector is not None and settings.vector_weight > 0:
        found = nearest(snapshot.home, question.vector, depth, with_text(question.wanted), settings)
        for place, item in enumerate(found, start=1):
            candidates[item.id] = Candidate(item.id, item.cosine, item.window, place)
    if question.terms and settings.text_weight > 0:
        scored = sources.words(snapshot, list(question.terms), depth, question.wanted)
        for place, (id_, bm25) in enumerate(scored, start=1):
            candidate = candidates.setdefault(id_, Candidate(id_))
            candidate.bm25, candidate.text_rank = bm25, place
    if settings.vector_weight > 0:
        for part, name, vector in question.others:
            _search_space(snapshot, question, (part, name, vector), depth, settings, candidates)
    if question.vector is not None:
        _complete(snapshot, question.vector, candidates)
    return candidates


def _search_space(
    snapshot: Snapshot,
    question: Question,
    asked: tuple[str, str, FloatArray],
    depth: int,
    settings: RecallSettings,
    candidates: dict[int, Candidate],
) -> None:
    """Adds what one other space proposes, and what it says of all candidates."""
    _, name, vector = asked
    space = snapshot.space(name)
    if space is None:
        return
    wanted = with_text(question.wanted) if name == TEXT else question.wanted
    ranks = {item.id: place for place, item in enumerate(nearest(space, vector, depth, wanted, settings), 1)}
    for id_ in ranks:
        candidates.setdefault(id_, Candidate(id_))
    _compare(space, asked, question, candidates, list(candidates), ranks)


def _compare(
    space: Space,
    asked: tuple[str, str, FloatArray],
    question: Question,
    candidates: dict[int, Candidate],
    ids: list[int],
    ranks: Mapping[int, int],
) -> None:
    """Notes what a space says of some candidates."""
    part, name, vector = asked
    believed = question.believed.get((part, name), 1.0)
    calibrated = baseline(space, vector)
    found, cosines = similarities(space, vector, ids)
    shares = believed * calibrated.shares(cosines)
    for id_, cosine, share in zip(found.tolist(), cosines.tolist(), shares.tolist(), strict=True):
        candidates[id_].note(part, name, (cosine, share, ranks.get(id_)))


def with_text(wanted: Filter) -> Filter:
    """The same, of memories that hold a text: the vectors of others say nothing in that space."""
    return replace(wanted, presence=wanted.presence | HAS_TEXT)


def _complete(snapshot: Snapshot, vector: FloatArray, candidates: dict[int, Candidate]) -> None:
    """Cosines of candidates that only the text leg found."""
    missing = [id_ for id_, candidate in candidates.items() if candidate.cosine is None]
    for id_, item in cosines_of(snapshot.home, vector, missing).items():
        candidates[id_].cosine, candidates[id_].window = item.cosine, item.window


@dataclass(frozen=True)
class Detail:
    """What the catalogue adds to a memory.

    Attributes:
        count: how often it was recalled.
        last: when last, microseconds.
        attachments: its images and sounds.
        tier: number of where it is kept.
        derivation: what it rests on, if it is derived.
    """

    count: int
    last: int
    attachments: tuple[Attachment, ...]
    tier: int
    derivation: Derivation | None


def to_hits(snapshot: Snapshot, ranked: list[Fused], question: Question, details: Details) -> list[Hit]:
    """Hits with their memories.

    Raises:
        MemoryStoreError: one of them is damaged.
    """
    hits, places = [], _places(snapshot, [fused.candidate.id for fused in ranked])
    for fused in ranked:
        place = places.get(fused.candidate.id)
        if place is None:
            continue
        content = place[0].rows.content(place[1])
        record = make_record(content, snapshot, details(content.id))
        explanation = _explain(fused, content.text, question)
        hits.append(Hit(record.id, record.text, fused.score, record, explanation))
    return hits


def _places(snapshot: Snapshot, ids: list[int]) -> dict[int, tuple[Block, int]]:
    """Block and first row of those of some memories that are not forgotten."""
    found = {}
    for block, rows in snapshot.home.grouped(distinct(np.array(ids, dtype=np.int64))):
        for id_, row in zip(block.rows.ids[rows].tolist(), rows.tolist(), strict=True):
            if block.is_live(row):
                found[id_] = (block, row)
    return found


def make_record(content: Content, snapshot: Snapshot, detail: Detail) -> Record:
    """A memory as it is given to the caller."""
    traits = content.traits
    return Record(
        id=content.id,
        text=content.text,
        category=snapshot.categories.get(traits.category),
        metadata=content.metadata,
        timestamp=from_microseconds(content.timestamp),
        expires=from_optional(content.expires),
        access_count=detail.count,
        last_access=from_optional(detail.last),
        namespace=snapshot.namespaces.get(traits.namespace, DEFAULT_NAMESPACE),
        origin=ORIGINS[traits.origin],
        trust=traits.trust / 100,
        modalities=modalities_of(traits.presence),
        attachments=detail.attachments,
        tier=TIERS[detail.tier],
        derivation=detail.derivation,
    )


def _explain(fused: Fused, text: str, question: Question) -> Explanation:
    candidate = fused.candidate
    vector, words = None, None
    if candidate.cosine is not None:
        vector = VectorMatch(candidate.cosine, candidate.vector_rank, candidate.window)
    if candidate.text_rank is not None:
        matched = matched_words(text[:_EXPLAINED_CHARACTERS], question.terms)
        words = TextMatch(candidate.bm25, candidate.text_rank, matched)
    others = tuple(
        SpaceMatch(part, space, cosine, share, rank)
        for (part, space), (cosine, share, rank) in candidate.others.items()
    )
    return Explanation(vector, words, fused.parts, others)
