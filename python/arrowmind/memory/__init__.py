"""Long-term memory: texts kept verbatim, recalled by meaning and by words.

::

    store       MemoryStore, the facade; opening: what must be there
    intake      the way in; drafts: arguments of callers -> what is stored; encoder: text -> vectors
    ranked      a recall whose order is learned; store_view: the store as ranking/ sees it
    recaller    the way out; retrieval: one recall; vector_search and text_search: its legs; fusion
    catalogue   SQLite, the only commit point; schema: its tables; tables: their rows and statements; forking
    segment     immutable Arrow files with the bulk; rows: their columns; vectors: their codes
    snapshot    one consistent view of catalogue and segments; session: what a process keeps of it
    terms       text -> terms; text_index: tantivy; bm25: what is not indexed yet
    keeper      work on files under the lock of the store: flushing, compaction, indexing
"""

from __future__ import annotations

from arrowmind.memory.encoder import TextEncoder
from arrowmind.memory.links import Link
from arrowmind.memory.ranked import Evidence
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
    "Evidence",
    "Explanation",
    "Hit",
    "Link",
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
