"""Asks a store: by meaning, by words, by id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError, MemoryStoreError
from arrowmind.memory import tables
from arrowmind.memory.drafts import clean_text
from arrowmind.memory.encoder import check_vectors
from arrowmind.memory.retrieval import Question, make_record, rank, to_hits
from arrowmind.memory.snapshot import Filter
from arrowmind.memory.terms import query_terms
from arrowmind.memory.text_index import IndexDamagedError
from arrowmind.memory.times import now_microseconds, to_microseconds
from arrowmind.observe import get_logger, record_fallback

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from arrowmind.memory.catalogue import Catalogue
    from arrowmind.memory.encoder import FloatArray, TextEncoder
    from arrowmind.memory.fusion import Fused
    from arrowmind.memory.keeper import Keeper
    from arrowmind.memory.records import Hit, Record
    from arrowmind.memory.session import Session, SessionHolder
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.snapshot import Snapshot
    from arrowmind.memory.times import Moment

__all__ = ["Limits", "Recaller"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class Limits:
    """What a caller of recall leaves out, as given."""

    category: str | None = None
    since: Moment | None = None
    until: Moment | None = None

    def filter(self, snapshot: Snapshot) -> Filter | None:
        """The same in the terms of the store; None when nothing can match."""
        number = None
        if self.category is not None:
            if not isinstance(self.category, str):
                raise InvalidArgumentError(f"category={self.category!r}: give a string")
            numbers = {name: number for number, name in snapshot.categories.items()}
            number = numbers.get(clean_text(self.category))
        since = None if self.since is None else to_microseconds(self.since, "since")
        until = None if self.until is None else to_microseconds(self.until, "until")
        if self.category is not None and number is None:
            return None
        return Filter(now_microseconds(), number, since, until)


class Recaller:
    """The way out of a store."""

    def __init__(
        self,
        catalogue: Catalogue,
        sessions: SessionHolder,
        keeper: Keeper,
        encoder: TextEncoder | None,
        settings: RecallSettings,
        root: Path,
    ) -> None:
        self._catalogue = catalogue
        self._sessions = sessions
        self._keeper = keeper
        self._encoder = encoder
        self._settings = settings
        self._root = root
        self._said_words_only = False

    def recall(self, query: str, top_k: int, limits: Limits, embedding: Any) -> list[Hit]:
        """The best memories for a query, counted as accessed; see `MemoryStore.recall`."""
        session = self._sessions.current
        snapshot = session.snapshot()
        wanted = limits.filter(snapshot)
        if snapshot.vectors == 0 or wanted is None or not (query.strip() or embedding is not None):
            return []
        vector = self._query_vector(query, embedding, snapshot.dimension)
        question = Question(vector, query_terms(query), top_k, wanted)
        snapshot, ranked = self._rank(session, snapshot, question)
        with self._catalogue.reading() as db:
            hits = to_hits(snapshot, ranked, question, lambda id_: _access(session, db, id_))
        session.accesses.note([hit.id for hit in hits], wanted.now)
        return hits

    def get(self, id_: int) -> Record | None:
        """One memory, unless it is forgotten or has expired."""
        session = self._sessions.current
        snapshot = session.snapshot()
        if not snapshot.admitted([id_], Filter(now_microseconds())):
            return None
        place = snapshot.find(id_)
        if place is None:
            return None
        with self._catalogue.reading() as db:
            access = _access(session, db, id_)
        return make_record(place[0].rows.content(place[1]), snapshot, access)

    def _query_vector(self, query: str, embedding: Any, dimension: int) -> FloatArray | None:
        if embedding is not None:
            vector = check_vectors(np.atleast_2d(np.asarray(embedding)), "embedding")
        elif self._encoder is not None:
            vector = check_vectors(self._encoder.encode([query]), "the encoder's result")
        else:
            self._say_words_only()
            return None
        if vector.shape != (1, dimension):
            raise InvalidArgumentError(
                f"the vector of the query has shape {vector.shape}, the store needs [1, {dimension}]"
            )
        # In float64: the square of a float32 may overflow.
        wide = vector[0].astype(np.float64)
        length = float(np.linalg.norm(wide))
        return (wide / length).astype(np.float32) if length > 0 else None

    def _say_words_only(self) -> None:
        wanted = self._settings.vector_weight > 0
        if wanted and not self._said_words_only:
            record_fallback("recall", "no encoder, by words only", store=str(self._root))
        self._said_words_only = True

    def _rank(self, session: Session, snapshot: Snapshot, question: Question) -> tuple[Snapshot, list[Fused]]:
        """The ranking, and the state it is of: a damaged index is built again on the way."""
        try:
            return snapshot, rank(snapshot, question, session.texts.search, self._settings)
        except IndexDamagedError as error:
            _log.warning("text_index_damaged", error=str(error), action="rebuild")
        try:
            self._keeper.repair_index()
            session.texts.reset()
            snapshot = session.snapshot()
            return snapshot, rank(snapshot, question, session.texts.search, self._settings)
        except (MemoryStoreError, OSError) as error:
            record_fallback("recall", "text index cannot be built, by meaning only", error=str(error))
        return snapshot, rank(snapshot, question, _no_words, self._settings)


def _access(session: Session, db: sqlite3.Connection, id_: int) -> tuple[int, int]:
    count, last = tables.access_of(db, id_)
    waiting, later = session.accesses.waiting(id_)
    return count + waiting, max(last, later)


def _no_words(
    _snapshot: Snapshot, _terms: list[str], _depth: int, _wanted: Filter
) -> list[tuple[int, float]]:
    """Stands for the text leg where it cannot be had."""
    return []
