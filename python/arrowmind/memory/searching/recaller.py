"""Asks a store: by meaning, by words, by id."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory.intake.drafts import clean_text
from arrowmind.memory.ranking.memories import TermStatistics
from arrowmind.memory.records import Episode
from arrowmind.memory.searching.labels import field_of
from arrowmind.memory.searching.linking import link_new
from arrowmind.memory.searching.listing import newest_ids
from arrowmind.memory.searching.questions import Asker
from arrowmind.memory.searching.ranked import examine, order_episodes, remembered, topic_of
from arrowmind.memory.searching.retrieval import (
    Detail,
    Question,
    Sources,
    make_record,
    propose,
    rank,
    search_depth,
    to_hits,
    view,
    without_echoes,
)
from arrowmind.memory.searching.terms import query_terms
from arrowmind.memory.searching.text_index import IndexDamagedError
from arrowmind.memory.searching.together import Together
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.attachments import attachments_of
from arrowmind.memory.storage.blocks import Filter
from arrowmind.memory.storage.lifecycle_tables import derivation_of, extracted_from, tier_of
from arrowmind.memory.storage.links import links_of, read_links
from arrowmind.memory.storage.traits import presence_of
from arrowmind.memory.times import from_microseconds, now_microseconds, to_microseconds
from arrowmind.observe import get_logger, record_fallback

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arrowmind.memory.encoder import Encoders
    from arrowmind.memory.keeping.keeper import Keeper
    from arrowmind.memory.ranking.memories import Edges
    from arrowmind.memory.records import Hit, Record
    from arrowmind.memory.searching.questions import Asked
    from arrowmind.memory.searching.ranked import Examined, FusedEpisode
    from arrowmind.memory.session import Session, SessionHolder
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.links import Link
    from arrowmind.memory.storage.snapshot import Snapshot
    from arrowmind.memory.times import Moment
    from arrowmind.observe import Progress

__all__ = ["UNKNOWN", "Limits", "Recaller"]

_log = get_logger(__name__)
_SPARE = 32
T = TypeVar("T")
_HITS_PER_EPISODE = 5
UNKNOWN = -1
"""Number of a category or a namespace that there is not."""


@dataclass(frozen=True)
class Limits:
    """What a caller of recall leaves out, as given."""

    category: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    namespace: str | None = None
    modality: str | None = None

    def filter(self, snapshot: Snapshot) -> Filter | None:
        """The same in the terms of the store; None when nothing can match."""
        category = _number(self.category, "category", snapshot.categories)
        namespace = self.namespace_in(snapshot)
        since = None if self.since is None else to_microseconds(self.since, "since")
        until = None if self.until is None else to_microseconds(self.until, "until")
        presence = 0 if self.modality is None else presence_of(self.modality)
        if UNKNOWN in (category, namespace):
            return None
        return Filter(now_microseconds(), category, since, until, namespace, presence)

    def namespace_in(self, snapshot: Snapshot) -> int | None:
        """Number of the namespace; None stands for any, and that of an unknown one is none's."""
        return _number(self.namespace, "namespace", snapshot.namespaces)


def _number(name: object, what: str, names: dict[int, str]) -> int | None:
    """Number of a category or a namespace, `UNKNOWN` if there is none; None stands for any."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise InvalidArgumentError(f"{what}={name!r}: give a string")
    numbers = {known: number for number, known in names.items()}
    return numbers.get(clean_text(name), UNKNOWN)


class Recaller:
    """The way out of a store."""

    def __init__(
        self,
        catalogue: Catalogue,
        sessions: SessionHolder,
        keeper: Keeper,
        encoders: Encoders,
        settings: RecallSettings,
        root: Path,
    ) -> None:
        self._catalogue = catalogue
        self._sessions = sessions
        self._keeper = keeper
        self._asker = Asker(encoders, str(root))
        self._settings = settings
        self._root = root
        self._has_encoder = encoders.text is not None
        self._said_words_only = False
        self._together = Together()

    def recall(self, asked: Asked, top_k: int, limits: Limits) -> list[Hit]:
        """The best memories for a query, counted as accessed; see `MemoryStore.recall`."""
        session = self._sessions.current
        with session.recalls.under_way():
            return self._recall(session, asked, top_k, limits)

    def _recall(self, session: Session, asked: Asked, top_k: int, limits: Limits) -> list[Hit]:
        snapshot = session.snapshot()
        wanted = limits.filter(snapshot)
        if snapshot.vectors == 0 or wanted is None or asked.is_empty:
            return []
        sources = self._sources(session)
        question = self._question(asked, top_k, session, snapshot, wanted, sources)
        question = replace(question, spare=min(top_k, _SPARE))
        snapshot, ranked = self._with_words(
            session, snapshot, sources, lambda state, some: rank(state, question, some, self._settings)
        )
        with self._catalogue.reading() as db:
            quotes = extracted_from(db, [item.candidate.id for item in ranked])
            ranked = without_echoes(ranked, quotes, top_k)
            hits = to_hits(snapshot, ranked, question, lambda id_: _detail(session, db, id_))
        session.accesses.note([hit.id for hit in hits], wanted.now)
        self._together.note([hit.id for hit in hits])
        return hits

    def episodes(self, asked: Asked, top_k: int, shown: int, limits: Limits, by: str | None) -> list[Episode]:
        """The best episodes for a query; see `MemoryStore.recall_episodes`."""
        session = self._sessions.current
        with session.recalls.under_way():
            return self._episodes(session, asked, top_k, shown, limits, by)

    def _episodes(
        self, session: Session, asked: Asked, top_k: int, shown: int, limits: Limits, by: str | None
    ) -> list[Episode]:
        snapshot = session.snapshot()
        wanted = limits.filter(snapshot)
        if snapshot.vectors == 0 or wanted is None or asked.is_empty:
            return []
        sources = self._sources(session)
        depth = _depth_of(top_k)
        question = replace(self._question(asked, depth, session, snapshot, wanted, sources), by=by)

        def ordered(state: Snapshot, some: Sources) -> list[FusedEpisode]:
            candidates = propose(state, question, some, self._settings)
            memories = view(state, question, some)
            examined = examine(question.text, candidates, memories, wanted.now, top_k)
            best = shown + min(shown, _SPARE)
            return order_episodes(examined, candidates, memories, self._settings, top_k, best)

        snapshot, found = self._with_words(session, snapshot, sources, ordered)
        with self._catalogue.reading() as db:
            quotes = extracted_from(db, [hit.candidate.id for item in found for hit in item.best])
            episodes = []
            for item in found:
                best = without_echoes(item.best, quotes, shown)
                hits = to_hits(snapshot, best, question, lambda id_: _detail(session, db, id_))
                episodes.append(_episode(item, hits, by))
        session.accesses.note([hit.id for episode in episodes for hit in episode.hits], wanted.now)
        return episodes

    def examine(
        self, asked: Asked, top_k: int, limits: Limits, *, episodes: bool = False, by: str | None = None
    ) -> Examined | None:
        """The memories that may answer a query, before they are ranked; None where there are none.

        Raises:
            IndexDamagedError: the text index has to be built again.
        """
        session = self._sessions.current
        snapshot = session.snapshot()
        wanted = limits.filter(snapshot)
        if snapshot.vectors == 0 or wanted is None or asked.is_empty:
            return None
        sources = self._sources(session)
        depth = _depth_of(top_k) if episodes else top_k
        question = replace(self._question(asked, depth, session, snapshot, wanted, sources), by=by)
        candidates = propose(snapshot, question, sources, self._settings)
        memories = view(snapshot, question, sources)
        return examine(asked.text, candidates, memories, wanted.now, top_k if episodes else 0)

    def _sources(self, session: Session) -> Sources:
        return Sources(remembered(session.texts.search), session.texts.statistics, self._links)

    def _links(self, ids: Sequence[int]) -> Edges:
        with self._catalogue.reading() as db:
            return read_links(db, ids, now_microseconds())

    def _question(
        self, asked: Asked, top_k: int, session: Session, snapshot: Snapshot, wanted: Filter, sources: Sources
    ) -> Question:
        by_meaning = self._settings.vector_weight > 0
        terms = query_terms(asked.text)
        question = Question({}, asked.text.strip(), terms, top_k, wanted)
        if self._has_encoder and terms and self._settings.by_signals:
            asked = replace(asked, text=self._topic(question, snapshot, sources))
        alignment = session.joint(snapshot).alignment
        parts, believed = self._asker.parts(asked, snapshot, by_meaning=by_meaning, alignment=alignment)
        if not parts and not self._has_encoder:
            self._say_words_only()
        return replace(question, parts=parts, believed=believed)

    def _topic(self, question: Question, snapshot: Snapshot, sources: Sources) -> str:
        """What the encoder reads of the query."""
        depth = search_depth(self._settings, question.top_k)
        try:
            found = sources.words(snapshot, list(question.terms), depth, question.wanted)
        except IndexDamagedError:
            return question.text  # the ranking finds out, too, and repairs it
        return topic_of(question.text, dict(found), view(snapshot, question, sources))

    def link(self, limit: int, progress: Progress) -> int:
        """Links memories that came since the last call; see `MemoryStore.link`."""
        self._together.write(self._catalogue)
        return link_new(self._catalogue, self._sessions.current, self._settings, limit, progress)

    def links(self, id_: int, limits: Limits) -> list[Link]:
        """What a memory is linked with, as far as it may be found."""
        snapshot = self._sessions.current.snapshot()
        wanted = limits.filter(snapshot)
        if wanted is None or not snapshot.admitted([id_], wanted):
            return []
        with self._catalogue.reading() as db:
            found = links_of(db, id_, wanted.now)
        live = snapshot.admitted([link.id for link in found], wanted)
        return [link for link in found if link.id in live]

    def get(self, id_: int, limits: Limits) -> Record | None:
        """One memory, unless it is forgotten, has expired or is none of those looked for."""
        session = self._sessions.current
        snapshot = session.snapshot()
        wanted = limits.filter(snapshot)
        place = snapshot.find(id_)
        if wanted is None or place is None:
            return None
        if not snapshot.admitted([id_], replace(wanted, archived=True)):
            return None
        with self._catalogue.reading() as db:
            detail = _detail(session, db, id_)
        return make_record(place[0].rows.content(place[1]), snapshot, detail)

    def newest(self, count: int, before: int | None, limits: Limits) -> list[Record]:
        """The memories that were remembered last, archived ones too; see `MemoryStore.newest`."""
        session = self._sessions.current
        snapshot = session.snapshot()
        wanted = limits.filter(snapshot)
        if wanted is None:
            return []
        records = []
        with self._catalogue.reading() as db:
            for id_ in newest_ids(snapshot, replace(wanted, archived=True), count, before):
                place = snapshot.find(id_)
                if place is not None:
                    content = place[0].rows.content(place[1])
                    records.append(make_record(content, snapshot, _detail(session, db, id_)))
        return records

    def _say_words_only(self) -> None:
        wanted = self._settings.vector_weight > 0
        if wanted and not self._said_words_only:
            record_fallback("recall", "no encoder, by words only", store=str(self._root))
        self._said_words_only = True

    def _with_words(
        self, session: Session, snapshot: Snapshot, sources: Sources, ask: Callable[[Snapshot, Sources], T]
    ) -> tuple[Snapshot, T]:
        """What was asked for, and the state it is of: a damaged index is built again on the way."""
        try:
            return snapshot, ask(snapshot, sources)
        except IndexDamagedError as error:
            _log.warning("text_index_damaged", error=str(error), action="rebuild")
        try:
            self._keeper.repair_index()
            session.texts.reset()
            snapshot = session.snapshot()
            return snapshot, ask(snapshot, self._sources(session))
        except (MemoryStoreError, OSError) as error:
            record_fallback("recall", "text index cannot be built, by meaning only", error=str(error))
        wordless = Sources(_no_words, _no_statistics, self._links)
        return snapshot, ask(snapshot, wordless)


def _depth_of(episodes: int) -> int:
    """Hits whose search goes far enough for so many episodes."""
    return _HITS_PER_EPISODE * episodes


def _episode(found: FusedEpisode, hits: list[Hit], by: str | None) -> Episode:
    began, ended = map(from_microseconds, found.span)
    value = field_of(hits[0].record, by) if by and hits else None
    score = sum(found.parts.values())
    return Episode(tuple(hits), tuple(found.ids), began, ended, score, found.parts, value)


def _detail(session: Session, db: sqlite3.Connection, id_: int) -> Detail:
    count, last = tables.access_of(db, id_)
    waiting, later = session.accesses.waiting(id_)
    return Detail(
        count=count + waiting,
        last=max(last, later),
        attachments=attachments_of(db, id_),
        tier=tier_of(db, id_),
        derivation=derivation_of(db, id_),
    )


def _no_words(
    _snapshot: Snapshot, _terms: list[str], _depth: int, _wanted: Filter
) -> list[tuple[int, float]]:
    """Stands for the text leg where it cannot be had."""
    return []


def _no_statistics(_snapshot: Snapshot, _terms: Sequence[str]) -> TermStatistics:
    return TermStatistics(0, 0.0, {})
