"""Stores new memories: a few in the catalogue, many at once as segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.memory.intake.drafts import Numbers, make_records
from arrowmind.memory.intake.embedding import Embedder, check_embeddings, fill
from arrowmind.memory.opening import settle_home, settle_space
from arrowmind.memory.storage import tables
from arrowmind.memory.storage.attachments import insert_attachments
from arrowmind.memory.storage.blobs import ensure_blobs
from arrowmind.memory.storage.spaces import TEXT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from arrowmind.memory.encoder import Encoders
    from arrowmind.memory.intake.drafts import Draft
    from arrowmind.memory.intake.embedding import Vectors
    from arrowmind.memory.keeping.keeper import Keeper
    from arrowmind.memory.storage.catalogue import Catalogue
    from arrowmind.memory.storage.paths import StorePaths
    from arrowmind.memory.storage.tables import NewRecord

    Note = Callable[[sqlite3.Connection, list[int]], None]

__all__ = ["Intake"]

# Memories encoded and committed together: what a killed process loses of a long batch at most.
_CHUNK_ENCODED = 256
_CHUNK_GIVEN = 16_384


class Intake:
    """The way into a store."""

    def __init__(
        self, catalogue: Catalogue, keeper: Keeper, encoders: Encoders, paths: StorePaths, flush_rows: int
    ) -> None:
        self._catalogue = catalogue
        self._keeper = keeper
        self._encoders = encoders
        self._embedder = Embedder(encoders, str(paths.root))
        self._paths = paths
        self._flush_rows = flush_rows

    def store(self, drafts: list[Draft], embeddings: Any) -> Iterator[list[int]]:
        """Stores memories part by part; yields the ids of each part when it is on disk.

        Args:
            drafts: the memories.
            embeddings: vectors that are there already, see `check_embeddings`.
        """
        yield from self.store_vectors(drafts, check_embeddings(embeddings, len(drafts)), _nothing)

    def store_vectors(self, drafts: list[Draft], given: Vectors, note: Note) -> Iterator[list[int]]:
        """The same with vectors float32 [windows, dimension] by space, and a note of each part.

        Args:
            drafts: the memories.
            given: vectors that are there already; None for a memory without.
            note: writes what belongs to the memories of a part, given their ids, in their transaction.
        """
        step = _CHUNK_GIVEN if TEXT in given and not any(d.media for d in drafts) else _CHUNK_ENCODED
        for start in range(0, len(drafts), step):
            chosen = slice(start, start + step)
            part = drafts[chosen]
            vectors = self._embedder.embed(part, {name: parts[chosen] for name, parts in given.items()})
            yield self._store(part, vectors, note)

    def prepare(self, drafts: list[Draft], embeddings: Any) -> Callable[[sqlite3.Connection], list[int]]:
        """Makes vectors of a few memories; the result stores them in a transaction of the caller."""
        vectors = self._embedder.embed(drafts, check_embeddings(embeddings, len(drafts)))
        ensure_blobs(self._paths, (item for draft in drafts for item in draft.media))
        return lambda db: self._insert(db, self._records(db, drafts, vectors), drafts)

    def _store(self, drafts: list[Draft], vectors: Vectors, note: Note) -> list[int]:
        ensure_blobs(self._paths, (item for draft in drafts for item in draft.media))
        count = sum(len(part) for part in vectors[TEXT] if part is not None)
        if count >= self._flush_rows:
            return self._store_many(drafts, vectors, note)
        with self._catalogue.writing() as db:
            records = self._records(db, drafts, vectors)
            ids = self._insert(db, records, drafts)
            note(db, ids)
            is_due = tables.pending_vectors(db) >= self._flush_rows
        if is_due:
            self._keeper.tidy()
        return ids

    def _store_many(self, drafts: list[Draft], vectors: Vectors, note: Note) -> list[int]:
        """Past the catalogue, unless another process is writing segments."""
        with self._catalogue.writing() as db:
            records = self._records(db, drafts, vectors)

        def also(db: sqlite3.Connection, ids: list[int]) -> None:
            self._attach(db, ids, records, drafts)
            note(db, ids)

        ids = self._keeper.store_batch(records, also) or self._store_pending(records, drafts, note)
        self._keeper.tidy()
        return ids

    def _store_pending(self, records: list[NewRecord], drafts: list[Draft], note: Note) -> list[int]:
        with self._catalogue.writing() as db:
            ids = self._insert(db, records, drafts)
            note(db, ids)
        return ids

    def _records(self, db: sqlite3.Connection, drafts: list[Draft], vectors: Vectors) -> list[NewRecord]:
        """The rows to store, with all that they name in the catalogue."""
        home = settle_home(db, self._encoders, vectors[TEXT], self._paths.root)
        others = {name: parts for name, parts in vectors.items() if name != TEXT}
        numbers = Numbers(
            tables.category_ids(db, {d.category for d in drafts if d.category is not None}),
            tables.namespace_ids(db, {d.namespace for d in drafts}),
            {
                name: settle_space(db, self._encoders, name, parts, self._paths.root)
                for name, parts in others.items()
            },
        )
        return make_records(drafts, {TEXT: fill(vectors[TEXT], home), **others}, numbers)

    def _insert(self, db: sqlite3.Connection, records: list[NewRecord], drafts: list[Draft]) -> list[int]:
        ids = list(tables.take_ids(db, len(records)))
        tables.insert_pending(db, ids, records)
        self._attach(db, ids, records, drafts)
        return ids

    def _attach(
        self, db: sqlite3.Connection, ids: list[int], records: list[NewRecord], drafts: list[Draft]
    ) -> None:
        # Another process may have removed a blob since it was seen, as nothing named it then.
        ensure_blobs(self._paths, (item for draft in drafts for item in draft.media))
        for id_, record in zip(ids, records, strict=True):
            insert_attachments(db, id_, record.attachments)


def _nothing(_db: sqlite3.Connection, _ids: list[int]) -> None:
    """Notes nothing."""
