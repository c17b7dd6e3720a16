"""The memory store: remember texts, recall them by meaning and by words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError, MemoryStoreError, OptimizationError
from arrowmind.memory import catalogue as tables
from arrowmind.memory.catalogue import Catalogue
from arrowmind.memory.drafts import check_ids, check_top_k, clean_text, make_drafts, make_records
from arrowmind.memory.encoder import EXTERNAL, check_vectors, embed_texts
from arrowmind.memory.keeper import Keeper
from arrowmind.memory.lock import hold_lock
from arrowmind.memory.paths import StorePaths
from arrowmind.memory.retrieval import Question, make_record, rank, to_hits
from arrowmind.memory.schema import create_tables, explained, is_created
from arrowmind.memory.session import SessionHolder
from arrowmind.memory.settings import RecallSettings, StoreSettings
from arrowmind.memory.snapshot import Filter
from arrowmind.memory.statistics import collect_stats
from arrowmind.memory.terms import query_terms
from arrowmind.memory.text_index import IndexDamagedError
from arrowmind.memory.times import now_microseconds, to_microseconds
from arrowmind.memory.verification import verify_store
from arrowmind.observe import get_logger, metrics, no_progress, record_fallback

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from types import TracebackType

    from arrowmind.memory.drafts import Draft
    from arrowmind.memory.encoder import FloatArray, TextEncoder
    from arrowmind.memory.fusion import Fused
    from arrowmind.memory.records import CompactionReport, Hit, Record, StoreStats, VerifyReport
    from arrowmind.memory.session import Session
    from arrowmind.memory.snapshot import Snapshot
    from arrowmind.memory.times import Moment
    from arrowmind.observe import Progress

__all__ = ["MemoryStore"]

_log = get_logger(__name__)

# Texts encoded and committed together: what a killed process loses of a long remember_many at most.
_CHUNK_TEXTS = 256
_CHUNK_VECTORS = 16_384


class MemoryStore:
    """A folder of memories.

    Several processes and threads may use one store at once. What `remember` returned an id for survives a
    killed process and a power cut. Forked processes may go on using the object.

    Example:
        >>> with MemoryStore("memory", engine) as store:  # doctest: +SKIP
        ...     store.remember("The key lies under the blue pot.")
        ...     print(store.recall("where is the key?")[0].text)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        engine: TextEncoder | None = None,
        *,
        create: bool = True,
        settings: StoreSettings | None = None,
        recall_settings: RecallSettings | None = None,
    ) -> None:
        """Opens a store.

        Args:
            path: its folder.
            engine: makes vectors of texts. Without one, recall goes by words only, and remembering needs
                vectors from the caller.
            create: whether to make a new store where there is none.
            settings: when it moves data between its files.
            recall_settings: how it ranks.

        Raises:
            MemoryStoreError: there is no store and ``create`` is False, the folder holds something else or
                cannot be used, the catalogue is damaged, or the store was made with another encoder.
            StoreVersionError: a newer version of this package made the store.
        """
        self._paths = StorePaths(Path(path))
        self._engine = engine
        self._settings = settings or StoreSettings()
        self._recall_settings = recall_settings or RecallSettings()
        self._closed = False
        self._said_words_only = False
        self._prepare(create=create)
        self._catalogue = Catalogue(self._paths.catalogue, self._settings.busy_seconds)
        self._sessions = SessionHolder(self._catalogue, self._paths)
        self._keeper = Keeper(self._catalogue, self._paths, self._sessions, self._settings)
        try:
            with self._catalogue.reading() as db:
                made = is_created(db, self._paths.catalogue)
                facts = tables.settings(db) if made else {}
            self._check_engine(facts)
            if self._keeper.has_leftovers():
                self._keeper.sweep()
        except BaseException:
            self._catalogue.close()
            raise

    def _prepare(self, *, create: bool) -> None:
        path = self._paths.catalogue
        if not create and not path.exists():
            raise MemoryStoreError(
                f"{self._paths.root}: holds no memory store; remember something there first"
            )
        if path.exists() and self._is_complete():
            self._paths.make_folders()
            return
        self._paths.make()
        with hold_lock(self._paths.lock, self._settings.busy_seconds), explained(path):
            create_tables(path, self._settings.busy_seconds)

    def _is_complete(self) -> bool:
        """Whether the catalogue has its tables; a process may have died while it made them."""
        catalogue = Catalogue(self._paths.catalogue, self._settings.busy_seconds)
        try:
            with catalogue.connection() as db:
                return is_created(db, self._paths.catalogue)
        finally:
            catalogue.close()

    # Remembering.

    def remember(
        self,
        text: str,
        *,
        category: str | None = None,
        metadata: dict[str, Any] | None = None,
        timestamp: Moment | None = None,
        expires: Moment | timedelta | None = None,
    ) -> int:
        """Stores one text, verbatim. When it returns, the text is on disk.

        Args:
            text: what to remember; lone surrogates become U+FFFD.
            category: a label to filter by.
            metadata: JSON values that come back with it.
            timestamp: when it happened; now if not given.
            expires: when it is forgotten by itself: a moment, or a time from now.

        Returns:
            Its id.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: it could not be stored.
        """
        return self.remember_many(
            [text], category=category, metadata=metadata, timestamp=timestamp, expires=expires
        )[0]

    def remember_many(
        self,
        texts: Sequence[str],
        embeddings: Any = None,
        *,
        category: str | Sequence[str | None] | None = None,
        metadata: dict[str, Any] | Sequence[dict[str, Any] | None] | None = None,
        timestamp: Moment | Sequence[Moment | None] | None = None,
        expires: Moment | timedelta | Sequence[Moment | timedelta | None] | None = None,
        progress: Progress = no_progress,
    ) -> list[int]:
        """Stores many texts. Nothing is stored if any argument cannot be used.

        The work is committed in parts: after an error or a kill, the first texts may be stored already, in
        order and without gaps.

        Args:
            texts: what to remember.
            embeddings: vectors float32 [len(texts), dimension] if they are there already.
            category: one for all, or one per text; so are metadata, timestamp and expires.
            metadata: see `remember`.
            timestamp: see `remember`.
            expires: see `remember`.
            progress: called with (texts on disk, all texts, "memories").

        Returns:
            Their ids, in order.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: they could not be stored.
        """
        self._check_open()
        drafts = make_drafts(texts, category, metadata, timestamp, expires)
        vectors = None if embeddings is None else self._check_embeddings(embeddings, len(drafts))
        if not drafts:
            return []
        size = _CHUNK_TEXTS if vectors is None else _CHUNK_VECTORS
        ids: list[int] = []
        for start in range(0, len(drafts), size):
            part = drafts[start : start + size]
            ids += self._store(part, self._vectors_of(part, vectors, start))
            progress(len(ids), len(drafts), "memories")
        return ids

    def _check_embeddings(self, embeddings: Any, count: int) -> FloatArray:
        vectors = check_vectors(embeddings, "embeddings") if count else np.empty((0, 1), np.float32)
        if len(vectors) != count:
            raise InvalidArgumentError(f"embeddings has {len(vectors)} rows for {count} texts; give one each")
        return vectors

    def _vectors_of(self, drafts: list[Draft], vectors: FloatArray | None, start: int) -> list[FloatArray]:
        if vectors is not None:
            return [vectors[start + i : start + i + 1] for i in range(len(drafts))]
        if self._engine is None:
            raise InvalidArgumentError(
                f"{self._paths.root}: was opened without an engine; open it with one or give embeddings"
            )
        return embed_texts(self._engine, [draft.text for draft in drafts])

    def _store(self, drafts: list[Draft], vectors: list[FloatArray]) -> list[int]:
        with self._catalogue.writing() as db:
            self._settle_encoder(db, vectors[0].shape[1])
            names = {draft.category for draft in drafts if draft.category is not None}
            numbers = {name: tables.category_id(db, name) for name in sorted(names)}
            records = make_records(drafts, vectors, numbers)
            large = sum(record.windows for record in records) >= self._settings.flush_rows
            ids = [] if large else list(tables.take_ids(db, len(records)))
            if not large:
                tables.insert_pending(db, ids, records)
            due = large or tables.pending_vectors(db) >= self._settings.flush_rows
        if large:
            ids = self._keeper.store_batch(records) or self._store_pending(records)
        if due:
            self._maintain("tidy")
        return ids

    def _store_pending(self, records: list[tables.NewRecord]) -> list[int]:
        with self._catalogue.writing() as db:
            ids = list(tables.take_ids(db, len(records)))
            tables.insert_pending(db, ids, records)
        return ids

    def _settle_encoder(self, db: sqlite3.Connection, dimension: int) -> None:
        """Fixes encoder and dimension with the first vector; later ones must agree."""
        facts = tables.settings(db)
        if "dimension" not in facts:
            tables.put_setting(db, "dimension", dimension)
            tables.put_setting(db, "encoder", self._engine.fingerprint if self._engine else EXTERNAL)
        elif facts["dimension"] != dimension:
            raise InvalidArgumentError(
                f"{self._paths.root}: has vectors of dimension {facts['dimension']}, these have {dimension}; "
                "use the encoder the store was made with, or another store"
            )

    def _check_engine(self, facts: dict[str, str | int]) -> None:
        if self._engine is None or "dimension" not in facts:
            return
        same = facts["dimension"] == self._engine.dimension
        if not same or facts["encoder"] not in (EXTERNAL, self._engine.fingerprint):
            made_with = f"{facts['encoder']} of dimension {facts['dimension']}"
            raise MemoryStoreError(
                f"{self._paths.root}: was made with encoder {made_with}, not {self._engine.fingerprint} of "
                f"dimension {self._engine.dimension}: their vectors cannot be compared; open it with that "
                "encoder, or remember the texts in a new store"
            )

    # Recalling.

    def recall(
        self,
        query: str,
        top_k: int = 10,
        *,
        category: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        embedding: Any = None,
    ) -> list[Hit]:
        """Finds memories by meaning and by words.

        Args:
            query: any text. An empty one finds nothing; signs such as quotes or AND have no special meaning.
            top_k: how many memories at most.
            category: only those of this category.
            since: only those from then on.
            until: only those before then.
            embedding: vector float32 [dimension] of the query, if it is there already.

        Returns:
            The best first; fewer than ``top_k`` if the store has no more.

        Raises:
            InvalidArgumentError: an argument cannot be used.
            MemoryStoreError: the store is damaged.
        """
        self._check_open()
        if not isinstance(query, str):
            raise InvalidArgumentError(f"query is {type(query).__name__}; give a string")
        number = check_top_k(top_k)
        with metrics.recall_seconds.time():
            session = self._sessions.current
            snapshot = session.snapshot()
            wanted = self._filter(snapshot, category, since, until)
            if snapshot.vectors == 0 or wanted is None or not (query.strip() or embedding is not None):
                return []
            query = clean_text(query)
            vector = self._query_vector(query, embedding, snapshot.dimension)
            question = Question(vector, query_terms(query), number, wanted)
            snapshot, ranked = self._rank(session, snapshot, question)
            hits = self._to_hits(session, snapshot, ranked, question)
            session.accesses.note([hit.id for hit in hits], wanted.now)
        return hits

    def _filter(
        self, snapshot: Snapshot, category: str | None, since: Moment | None, until: Moment | None
    ) -> Filter | None:
        """Which memories are wanted; None when none can be."""
        number = None
        if category is not None:
            numbers = {name: number for number, name in snapshot.categories.items()}
            number = numbers.get(clean_text(category)) if isinstance(category, str) else None
            if number is None:
                return None
        return Filter(
            now_microseconds(),
            number,
            None if since is None else to_microseconds(since, "since"),
            None if until is None else to_microseconds(until, "until"),
        )

    def _query_vector(self, query: str, embedding: Any, dimension: int) -> FloatArray | None:
        if embedding is not None:
            vector = check_vectors(np.atleast_2d(np.asarray(embedding)), "embedding")
        elif self._engine is not None:
            vector = check_vectors(self._engine.encode([query]), "the encoder's result")
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
        if not self._said_words_only:
            record_fallback("recall", "no encoder, by words only", store=str(self._paths.root))
        self._said_words_only = True

    def _rank(self, session: Session, snapshot: Snapshot, question: Question) -> tuple[Snapshot, list[Fused]]:
        try:
            return snapshot, rank(snapshot, question, session.texts.search, self._recall_settings)
        except IndexDamagedError as error:
            _log.warning("text_index_damaged", error=str(error), action="rebuild")
        try:
            self._keeper.repair_index()
            session.texts.reset()
            snapshot = session.snapshot()
            return snapshot, rank(snapshot, question, session.texts.search, self._recall_settings)
        except (MemoryStoreError, OSError) as error:
            record_fallback("recall", "text index cannot be built, by meaning only", error=str(error))
        return snapshot, rank(snapshot, question, _no_words, self._recall_settings)

    def _to_hits(
        self, session: Session, snapshot: Snapshot, ranked: list[Fused], question: Question
    ) -> list[Hit]:
        with self._catalogue.reading() as db:
            return to_hits(snapshot, ranked, question, lambda id_: self._access(session, db, id_))

    def _access(self, session: Session, db: sqlite3.Connection, id_: int) -> tuple[int, int]:
        count, last = tables.access_of(db, id_)
        waiting, later = session.accesses.waiting(id_)
        return count + waiting, max(last, later)

    def get(self, id: int) -> Record | None:  # noqa: A002  the documented name
        """The memory with this id; None if there is none, or it was forgotten.

        Raises:
            InvalidArgumentError: it is no id.
            MemoryStoreError: the memory is damaged.
        """
        self._check_open()
        session = self._sessions.current
        snapshot = session.snapshot()
        wanted = Filter(now_microseconds())
        for number in check_ids(id):
            place = snapshot.find(number)
            if place is not None and wanted.admits(place[0].rows, np.array([place[1]]))[0]:
                with self._catalogue.reading() as db:
                    access = self._access(session, db, number)
                return make_record(place[0].rows.content(place[1]), snapshot, access)
        return None

    # Forgetting.

    def forget(self, ids: int | Iterable[int]) -> int:
        """Forgets memories: from now on they are never returned again.

        Their bytes stay in the files until the segment is rewritten by itself, or `compact` is called.

        Args:
            ids: one id or several; unknown ones are passed over.

        Returns:
            How many memories were forgotten.
        """
        self._check_open()
        numbers = check_ids(ids)
        session = self._sessions.current
        with self._catalogue.writing() as db:
            snapshot = session.snapshot_in(db)
            places = {id_: place for id_ in numbers if (place := snapshot.find(id_)) is not None}
            tables.delete_pending(db, [id_ for id_, (block, _) in places.items() if block.segment is None])
            tables.insert_tombstones(
                db,
                [
                    (id_, block.segment.id, block.rows.window_count(row))
                    for id_, (block, row) in places.items()
                    if block.segment is not None
                ],
            )
            tables.delete_accesses(db, places)
            if places:
                tables.touch_layout(db)
        session.accesses.drop(places)
        if places:
            self._maintain("reclaim")
        return len(places)

    def compact(self) -> CompactionReport:
        """Removes every byte of what was forgotten or has expired from all files, and merges small segments.

        Other processes that still read an old file keep its bytes alive on disk until they look again.

        Raises:
            MemoryStoreError: another process works on the files, or there is no room to write.
        """
        self._check_open()
        return self._keeper.compact()

    def flush(self) -> None:
        """Moves what waits in the catalogue into a segment and indexes it, which also happens by itself."""
        self._check_open()
        self._keeper.flush()

    def _maintain(self, task: str) -> None:
        """Work on files after a change is stored. Its failure must not look like a failure of the change."""
        try:
            {"tidy": self._keeper.tidy, "reclaim": self._keeper.reclaim}[task]()
        except (OptimizationError, OSError) as error:
            _log.warning("maintenance_failed", task=task, error=str(error))

    # Everything else.

    def stats(self) -> StoreStats:
        """Size and state of the store."""
        self._check_open()
        stats = collect_stats(self._paths, self._catalogue, self._sessions.current.snapshot())
        metrics.memories.set(stats.records, store=stats.path)
        return stats

    def verify(self) -> VerifyReport:
        """Reads everything and checks it: catalogue, checksums, codes, text index."""
        self._check_open()
        return verify_store(self._paths, self._catalogue)

    def close(self) -> None:
        """Writes access counters and lets go of all files. Closing twice does nothing."""
        if self._closed:
            return
        self._sessions.current.accesses.write(busy_seconds=1.0)
        self._closed = True
        self._catalogue.close()

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"MemoryStore({str(self._paths.root)!r})"

    def _check_open(self) -> None:
        if self._closed:
            raise MemoryStoreError(f"{self._paths.root}: the store is closed; open it again")


def _no_words(
    _snapshot: Snapshot, _terms: list[str], _depth: int, _wanted: Filter
) -> list[tuple[int, float]]:
    """Stands for the text leg where it cannot be had."""
    return []
