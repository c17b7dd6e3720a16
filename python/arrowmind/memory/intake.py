"""Stores new memories: a few in the catalogue, many at once as a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory import tables
from arrowmind.memory.drafts import make_records
from arrowmind.memory.encoder import check_vectors, embed_texts
from arrowmind.memory.opening import settle_encoder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.memory.catalogue import Catalogue
    from arrowmind.memory.drafts import Draft
    from arrowmind.memory.encoder import FloatArray, TextEncoder
    from arrowmind.memory.keeper import Keeper
    from arrowmind.memory.tables import NewRecord

__all__ = ["Intake"]

# Texts encoded and committed together: what a killed process loses of a long batch at most.
_CHUNK_TEXTS = 256
_CHUNK_VECTORS = 16_384


class Intake:
    """The way into a store."""

    def __init__(
        self,
        catalogue: Catalogue,
        keeper: Keeper,
        encoder: TextEncoder | None,
        root: Path,
        flush_rows: int,
    ) -> None:
        self._catalogue = catalogue
        self._keeper = keeper
        self._encoder = encoder
        self._root = root
        self._flush_rows = flush_rows

    def store(self, drafts: list[Draft], embeddings: Any) -> Iterator[list[int]]:
        """Stores memories part by part; yields the ids of each part when it is on disk.

        Args:
            drafts: the memories.
            embeddings: their vectors float32 [len(drafts), dimension], or None to encode the texts.
        """
        if embeddings is None:
            for start in range(0, len(drafts), _CHUNK_TEXTS):
                part = drafts[start : start + _CHUNK_TEXTS]
                yield self._store(part, self._encode(part))
            return
        vectors = check_vectors(embeddings, "embeddings") if drafts else np.empty((0, 1), np.float32)
        if len(vectors) != len(drafts):
            raise InvalidArgumentError(
                f"embeddings has {len(vectors)} rows for {len(drafts)} texts; give one each"
            )
        for start in range(0, len(drafts), _CHUNK_VECTORS):
            chosen = slice(start, start + _CHUNK_VECTORS)
            yield self._store(drafts[chosen], list(vectors[chosen, None]))

    def _encode(self, drafts: list[Draft]) -> list[FloatArray]:
        if self._encoder is None:
            raise InvalidArgumentError(
                f"{self._root}: was opened without an engine; open it with one or give embeddings"
            )
        return embed_texts(self._encoder, [draft.text for draft in drafts])

    def _store(self, drafts: list[Draft], vectors: list[FloatArray]) -> list[int]:
        dimension = vectors[0].shape[1]
        if sum(map(len, vectors)) >= self._flush_rows:
            return self._store_many(drafts, vectors, dimension)
        with self._catalogue.writing() as db:
            settle_encoder(db, self._encoder, dimension, self._root)
            records = make_records(drafts, vectors, tables.category_ids(db, _categories(drafts)))
            ids = list(tables.take_ids(db, len(records)))
            tables.insert_pending(db, ids, records)
            is_due = tables.pending_vectors(db) >= self._flush_rows
        if is_due:
            self._keeper.tidy()
        return ids

    def _store_many(self, drafts: list[Draft], vectors: list[FloatArray], dimension: int) -> list[int]:
        """Past the catalogue, unless another process is writing segments."""
        with self._catalogue.writing() as db:
            settle_encoder(db, self._encoder, dimension, self._root)
            numbers = tables.category_ids(db, _categories(drafts))
        records = make_records(drafts, vectors, numbers)
        ids = self._keeper.store_batch(records) or self._store_pending(records)
        self._keeper.tidy()
        return ids

    def _store_pending(self, records: list[NewRecord]) -> list[int]:
        with self._catalogue.writing() as db:
            ids = list(tables.take_ids(db, len(records)))
            tables.insert_pending(db, ids, records)
        return ids


def _categories(drafts: list[Draft]) -> set[str]:
    return {draft.category for draft in drafts if draft.category is not None}
