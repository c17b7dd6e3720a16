"""What tiering looks at, one array per fact."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.searching.terms import terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from arrowmind.consolidate.records import SourceMemory

    Int64 = npt.NDArray[np.int64]
    Float64 = npt.NDArray[np.float64]

__all__ = ["MemoryColumns", "columns_of"]

_BUCKETS = 1 << 18
_MAX_TERMS = 512
_ROW_BYTES = 8 + 4 + 4 + 8 + 8 + 4 + 4  # id, window, category, two moments, checksum, scale
_NEUTRAL = 0.5


@dataclass(frozen=True)
class MemoryColumns:
    """Memories, one row each; moments in microseconds.

    Attributes:
        ids: int64 [n], ascending.
        tiers: int8 [n], numbers of `Tier`.
        bytes: int64 [n], what a memory takes while it is hot.
        timestamps: int64 [n].
        last_access: int64 [n], the timestamp where it was never recalled.
        access_counts: int64 [n].
        rarity: float64 [n] from 0 to 1: mean TF-IDF of its terms, by its largest.
        importance: float64 [n] from 0 to 1, 0.5 where nobody says.
    """

    ids: Int64
    tiers: npt.NDArray[np.int8]
    bytes: Int64
    timestamps: Int64
    last_access: Int64
    access_counts: Int64
    rarity: Float64
    importance: Float64

    def __len__(self) -> int:
        return len(self.ids)


def columns_of(memories: Callable[[], Iterable[SourceMemory]]) -> MemoryColumns:
    """The columns of memories that are gone through twice: once to count terms, once to weigh them.

    Terms are counted in 262,144 buckets, so the memory this needs is bounded.

    Args:
        memories: gives them, by id, the same each time.
    """
    frequency = np.zeros(_BUCKETS, dtype=np.int64)
    count = 0
    for memory in memories():
        frequency[list(_buckets(memory.text))] += 1
        count += 1
    idf = np.log((count + 1.0) / (frequency + 0.5))
    rows = [_row(memory, idf) for memory in memories()]
    table = np.array([row[:-1] for row in rows], dtype=np.int64).reshape(-1, 6)
    weights = np.array([row[-1] for row in rows], dtype=np.float64)
    largest = weights.max(initial=0.0)
    return MemoryColumns(
        ids=table[:, 0],
        tiers=table[:, 1].astype(np.int8),
        bytes=table[:, 2],
        timestamps=table[:, 3],
        last_access=table[:, 4],
        access_counts=table[:, 5],
        rarity=weights / largest if largest > 0 else weights,
        importance=np.full(len(rows), _NEUTRAL),
    )


def _row(memory: SourceMemory, idf: Float64) -> tuple[int, int, int, int, int, int, float]:
    dimension = 0 if memory.vector is None else len(memory.vector)
    size = len(memory.text.encode("utf-8", "replace")) + dimension + (dimension + 7) // 8 + _ROW_BYTES
    last = max(memory.last_access, memory.timestamp)
    fixed = (memory.id, int(memory.tier), size, memory.timestamp, last, memory.access_count)
    return (*fixed, _weight(memory.text, idf))


def _weight(text: str, idf: Float64) -> float:
    """Mean TF-IDF of the distinct terms, so that neither length nor repetition is worth much."""
    counts: dict[int, int] = {}
    found = [_bucket(term) for term in terms(text)[:_MAX_TERMS]]
    for bucket in found:
        counts[bucket] = counts.get(bucket, 0) + 1
    if not counts:
        return 0.0
    places = np.fromiter(counts, dtype=np.int64)
    frequencies = np.fromiter(counts.values(), dtype=np.float64)
    return float(np.mean(2 * frequencies / (1 + frequencies) * np.maximum(idf[places], 0.0)))


def _buckets(text: str) -> set[int]:
    return {_bucket(term) for term in terms(text)[:_MAX_TERMS]}


def _bucket(term: str) -> int:
    return zlib.crc32(term.encode("utf-8", "replace")) % _BUCKETS
