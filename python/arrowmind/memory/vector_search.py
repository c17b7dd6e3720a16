"""The vector leg: which memories lie nearest to a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.memory.vectors import query_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.rows import Rows
    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.snapshot import Filter, Snapshot

    FloatArray = npt.NDArray[np.float32]

__all__ = ["Nearest", "cosines_of", "nearest"]


@dataclass(frozen=True)
class Nearest:
    """A memory and its best window."""

    id: int
    cosine: float
    window: int


@dataclass(frozen=True)
class _Found:
    """Rows of several blocks: cosine, id and window of each."""

    cosines: FloatArray
    ids: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int32]

    @classmethod
    def of(cls, rows: Rows, chosen: npt.NDArray[np.integer[Any]], cosines: FloatArray) -> _Found:
        """Rows of one block."""
        return cls(cosines, rows.ids[chosen], rows.windows[chosen])


def nearest(
    snapshot: Snapshot, query: FloatArray, depth: int, wanted: Filter, settings: RecallSettings
) -> list[Nearest]:
    """The ``depth`` memories with the highest cosine (of their best window), highest first.

    Args:
        snapshot: where to look.
        query: float32 [dimension], of length 1.
        depth: how many.
        wanted: which memories are looked for.
        settings: how.
    """
    search = _scan_all if snapshot.vectors <= settings.full_scan_rows else _scan_codes
    count = depth
    while True:
        found = search(snapshot, query, count, wanted, settings)
        best = _best_windows(found)
        # A long text may fill many rows: then ask for more of them.
        if len(best) >= depth or len(found.ids) < count or count >= snapshot.vectors:
            return best[:depth]
        count *= 4


def cosines_of(snapshot: Snapshot, query: FloatArray, ids: Sequence[int]) -> dict[int, Nearest]:
    """Cosine and window of given memories, as far as they are found."""
    wanted = np.array(sorted(ids), dtype=np.int64)
    found: dict[int, Nearest] = {}
    for block in snapshot.blocks:
        rows = block.rows
        first = np.searchsorted(rows.ids, wanted, side="left")
        count = np.searchsorted(rows.ids, wanted, side="right") - first
        starts, counts = first[count > 0], count[count > 0]
        if not len(starts):
            continue
        spans = np.concatenate([np.arange(s, s + c) for s, c in zip(starts, counts, strict=True)])
        cosines = _native.scan_dot(rows.codes, rows.scales, query, spans.astype(np.uint32))
        found.update({item.id: item for item in _best_windows(_sorted(_Found.of(rows, spans, cosines)))})
    return found


def _scan_all(
    snapshot: Snapshot, query: FloatArray, count: int, wanted: Filter, settings: RecallSettings
) -> _Found:
    """Every row in INT8."""
    parts = []
    for block in snapshot.blocks:
        rows, excluded = block.rows, block.bitmap(wanted)
        best, cosines = _native.scan_top_dot(
            rows.codes, rows.scales, query, count, excluded=excluded, threads=settings.threads
        )
        parts.append(_Found.of(rows, best, cosines))
    return _sorted(_join(parts), count)


def _scan_codes(
    snapshot: Snapshot, query: FloatArray, count: int, wanted: Filter, settings: RecallSettings
) -> _Found:
    """One-bit codes choose ``oversample * count`` rows, INT8 ranks them. Rows without signs: all in INT8."""
    signs = query_bits(query)
    candidates = []
    parts = []
    for number, block in enumerate(snapshot.blocks):
        rows, excluded = block.rows, block.bitmap(wanted)
        if rows.signs is None:
            best, cosines = _native.scan_top_dot(
                rows.codes, rows.scales, query, count, excluded=excluded, threads=settings.threads
            )
            parts.append(_Found.of(rows, best, cosines))
            continue
        best, distances = _native.scan_top_bits(
            rows.signs, signs, settings.oversample * count, excluded=excluded, threads=settings.threads
        )
        candidates.append((np.full(len(best), number), best, distances))
    for number, best in _closest(candidates, settings.oversample * count):
        rows = snapshot.blocks[number].rows
        cosines = _native.scan_dot(rows.codes, rows.scales, query, best)
        parts.append(_Found.of(rows, best, cosines))
    return _sorted(_join(parts), count)


def _closest(
    candidates: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.int32]]], count: int
) -> list[tuple[int, npt.NDArray[np.uint32]]]:
    """The rows with the smallest distances of all blocks: (block, ascending rows)."""
    if not candidates:
        return []
    blocks, rows, distances = (np.concatenate(column) for column in zip(*candidates, strict=True))
    chosen = np.argsort(distances, kind="stable")[:count]
    return [
        (int(block), np.sort(rows[chosen][blocks[chosen] == block])) for block in np.unique(blocks[chosen])
    ]


def _join(parts: list[_Found]) -> _Found:
    return _Found(
        np.concatenate([part.cosines for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.windows for part in parts]),
    )


def _sorted(found: _Found, count: int | None = None) -> _Found:
    """Highest cosine first, then lower id, then lower window."""
    order = np.lexsort((found.windows, found.ids, -found.cosines))[:count]
    return _Found(found.cosines[order], found.ids[order], found.windows[order])


def _best_windows(found: _Found) -> list[Nearest]:
    _, first = np.unique(found.ids, return_index=True)
    return [
        Nearest(int(found.ids[i]), float(found.cosines[i]), int(found.windows[i]))
        for i in np.sort(first).tolist()
    ]
