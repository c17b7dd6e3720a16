"""Long-term memory: texts, images and sounds kept verbatim, recalled by meaning, by words and by each other.

::

    store       what callers see; opened: opening and closing, upkeep: work on the whole
    searching   the way out: vectors, words, links, and their order; ranking: signals, which know no store
    intake      the way in: arguments checked, vectors made, memories stored
    keeping     forgetting, copies, checks, derived memories, and files put in order
    storage     the catalogue, segments, cold files and blobs; what a reader sees of them
"""

from __future__ import annotations

from arrowmind.memory.encoder import TextEncoder
from arrowmind.memory.records import (
    CompactionReport,
    Episode,
    Explanation,
    Hit,
    Record,
    Settlement,
    StoreStats,
    TextMatch,
    VectorMatch,
    VerifyReport,
)
from arrowmind.memory.searching.ranked import Evidence
from arrowmind.memory.settings import RecallSettings, StoreSettings
from arrowmind.memory.storage.links import Link
from arrowmind.memory.store import MemoryStore

__all__ = [
    "CompactionReport",
    "Episode",
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
