"""Long-term memory: texts kept verbatim, recalled by meaning and by words.

::

    store          MemoryStore, the facade
    drafts         arguments of callers -> what is stored
    encoder        what makes vectors of texts, as the store sees it
    catalogue      SQLite tables, the only commit point (schema: how they are made and opened)
    segment        immutable Arrow files with the bulk; rows: their columns; vectors: their codes
    snapshot       one consistent view of catalogue and segments; session: what a process keeps of it
    retrieval      one recall: vector_search and text_search, fusion
    terms          text -> terms; text_index: tantivy; bm25: what is not indexed yet
    keeper         work on files: flushing, compaction, indexing, under the lock of the store
"""

from __future__ import annotations

from arrowmind.memory.encoder import TextEncoder
from arrowmind.memory.records import (
    CompactionReport,
    Explanation,
    Hit,
    Record,
    StoreStats,
    TextMatch,
    VectorMatch,
    VerifyReport,
)
from arrowmind.memory.settings import RecallSettings, StoreSettings
from arrowmind.memory.store import MemoryStore

__all__ = [
    "CompactionReport",
    "Explanation",
    "Hit",
    "MemoryStore",
    "RecallSettings",
    "Record",
    "StoreSettings",
    "StoreStats",
    "TextEncoder",
    "TextMatch",
    "VectorMatch",
    "VerifyReport",
]
