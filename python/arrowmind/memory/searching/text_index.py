"""The text index: a tantivy index, derived from the memories and rebuilt when in doubt.

It holds terms, ids, categories and moments, but no text. Each rebuild makes a new folder (a generation); the
catalogue names the one in use.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from arrowmind.errors import MemoryStoreError, OptimizationError
from arrowmind.memory.searching.terms import TERMS_VERSION, terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from arrowmind.memory.storage.blocks import Filter

    Result = TypeVar("Result")

__all__ = ["IndexDamagedError", "IndexedText", "TextIndex", "new_generation", "remove_generations"]

# tantivy's smallest: a bounded writer that spills to disk often.
_WRITER_BYTES = 15_000_000
_PREFIX = f"terms{TERMS_VERSION}-"


class IndexDamagedError(MemoryStoreError):
    """The text index cannot be read; it has to be built again."""


@dataclass(frozen=True)
class IndexedText:
    """A memory on its way into the index."""

    id: int
    text: str
    category: int
    timestamp: int


def new_generation() -> str:
    """A name for a new index folder."""
    return f"{_PREFIX}{secrets.token_hex(8)}"


def remove_generations(folder: Path, keep: str | None) -> None:
    """Deletes the index folders that are not in use."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.name != keep:
            shutil.rmtree(entry, ignore_errors=True)


class TextIndex:
    """One generation of the index. Readers and one writer may be in different processes."""

    def __init__(self, folder: Path, *, create: bool = False, in_memory: bool = False) -> None:
        """Opens a generation, or makes one that is nowhere but in the memory of this process.

        Raises:
            IndexDamagedError: it is missing or cannot be read.
        """
        import tantivy  # noqa: PLC0415  (only recalls by words need it)

        self._tantivy = tantivy
        self.folder = folder
        self._in_memory = in_memory
        if not in_memory and not folder.name.startswith(_PREFIX):
            raise IndexDamagedError(f"{folder}: was made by another version of this package")
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        self._index = self._guard(lambda: self._open(create=create))
        self._schema = self._index.schema
        self._searcher = self._guard(self._index.searcher)

    def _open(self, *, create: bool) -> Any:
        if self._in_memory:
            index = self._tantivy.Index(self._make_schema())
        elif create:
            index = self._tantivy.Index(self._make_schema(), path=str(self.folder))
        else:
            index = self._tantivy.Index.open(str(self.folder))
        # By hand: a watcher thread per open store would not survive a fork.
        index.config_reader("Manual")
        index.reload()
        return index

    def _make_schema(self) -> Any:
        builder = self._tantivy.SchemaBuilder()
        for name in ("id", "category", "timestamp"):
            builder.add_integer_field(name, indexed=True, fast=True)
        builder.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
        return builder.build()

    @property
    def records(self) -> int:
        """Memories in the index."""
        return int(self._searcher.num_docs)

    def reload(self) -> None:
        """Sees what was committed since."""
        self._guard(self._index.reload)
        self._searcher = self._guard(self._index.searcher)

    def frequencies(self, query: Sequence[str]) -> dict[str, int]:
        """Memories that hold each term."""
        return self._guard(lambda: {term: self._searcher.doc_freq("terms", term) for term in query})

    def search(self, query: Sequence[str], limit: int, wanted: Filter) -> list[tuple[int, float]]:
        """(id, BM25) of the best memories, best first, lower id first among equals.

        Args:
            query: distinct terms.
            limit: how many at most.
            wanted: which memories are looked for; expired ones are found too.
        """
        occur, queries = self._tantivy.Occur, self._tantivy.Query
        words = [(occur.Should, queries.term_query(self._schema, "terms", t, "freq")) for t in query]
        asked = queries.boolean_query(words)
        # Alone it passes over blocks of postings that cannot reach the best; as a part of another it may not.
        conditions = [queries.const_score_query(part, 0.0) for part in self._conditions(wanted)]
        if conditions:
            asked = queries.boolean_query([(occur.Must, part) for part in [asked, *conditions]])
        hits = self._guard(lambda: self._searcher.search(asked, limit=limit, count=False).hits)
        ids = self._guard(lambda: self._searcher.fast_field_values("id", [address for _, address in hits]))
        scored = [(int(id_), float(score)) for id_, (score, _) in zip(ids, hits, strict=True)]
        return sorted(scored, key=lambda item: (-item[1], item[0]))

    def holders(self, term: str, limit: int) -> list[int]:
        """Ids of ``limit`` memories at most that hold a term."""
        asked = self._tantivy.Query.term_query(self._schema, "terms", term, "basic")
        hits = self._guard(lambda: self._searcher.search(asked, limit=limit, count=False).hits)
        ids = self._guard(lambda: self._searcher.fast_field_values("id", [address for _, address in hits]))
        return [int(id_) for id_ in ids]

    def _conditions(self, wanted: Filter) -> list[Any]:
        queries, conditions = self._tantivy.Query, []
        if wanted.category is not None:
            conditions.append(queries.term_query(self._schema, "category", wanted.category))
        if wanted.since is not None or wanted.until is not None:
            conditions.append(
                queries.range_query(
                    self._schema,
                    "timestamp",
                    self._tantivy.FieldType.Integer,
                    wanted.since,
                    wanted.until,
                    include_upper=wanted.until is None,
                )
            )
        return conditions

    def write(self, texts: Iterable[IndexedText], removed: Iterable[int]) -> tuple[int, int]:
        """Adds and removes memories in one commit. The caller holds the lock of the store.

        Adding a memory that is there replaces it, so work that a crash left half-done can be done again.

        Returns:
            Memories in the index now, and terms of those that were added.
        """
        return self._guard(lambda: self._write(texts, removed))

    def _write(self, texts: Iterable[IndexedText], removed: Iterable[int]) -> tuple[int, int]:
        writer = self._index.writer(heap_size=_WRITER_BYTES, num_threads=1)
        added = 0
        for id_ in removed:
            writer.delete_documents_by_term("id", id_)
        for item in texts:
            found = terms(item.text)
            added += len(found)
            writer.delete_documents_by_term("id", item.id)
            fields = {
                "id": item.id,
                "category": item.category,
                "timestamp": item.timestamp,
                "terms": " ".join(found),
            }
            writer.add_document(self._tantivy.Document.from_dict(fields, self._schema))
        writer.commit()
        writer.wait_merging_threads()
        self.reload()
        return self.records, added

    def _guard(self, call: Callable[[], Result]) -> Result:
        """Runs a call of tantivy. Its panics are BaseExceptions, and damage can cause them anywhere."""
        try:
            return call()
        except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, OptimizationError):
            raise
        except BaseException as error:
            if isinstance(error, OSError) or "No space left" in str(error):
                raise MemoryStoreError(f"{self.folder}: the text index cannot be written: {error}") from error
            raise IndexDamagedError(f"{self.folder}: the text index cannot be used: {error}") from error
