"""Long-term memory: texts, images and sounds kept verbatim, recalled by meaning, by words and by each other.

::

    store       MemoryStore, the facade, on upkeep (copies, files, links) on opened (parts, figures, checks)
    opening     what must be there; watching: who may do what, what is redacted and logged
    intake      the way in; drafts: arguments of callers -> what is stored; embedding, encoder: -> vectors
    media       images and sounds as they come; blobs: their files; attachments: whose they are
    aligning    how kinds of content go together; calibration: what a cosine says in its space
    ranked      a recall whose order is learned; store_view: the store as ranking/ sees it
    recaller    the way out; retrieval: one recall; vector_search and text_search: its legs; fusion
    catalogue   SQLite, the only commit point; schema: its tables; tables: rows and statements; forking
    segment     immutable Arrow files with the bulk; rows: their columns; vectors: their codes
    snapshot    one consistent view of catalogue and segments; blocks, directory: its rows; session
    lifecycle   derived memories and tiers, and undoing; forgetting, erasing: gone, and all that follows
    links       the association graph; ranking/: signals and their weights, which know nothing of the store
    backup      copies in use; transfer, importing: Parquet out and in; sealing, verification: is it whole
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
    Settlement,
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
    "Settlement",
    "StoreSettings",
    "StoreStats",
    "TextEncoder",
    "TextMatch",
    "VectorMatch",
    "VerifyReport",
]
