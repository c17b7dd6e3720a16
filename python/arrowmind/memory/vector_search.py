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

    from arrowmind.memory.blocks import Block, Filter, Space
    from arrowmind.memory.rows import Rows
    from arrowmind.memory.settings import RecallSettings

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
    space: Space, query: FloatArray, depth: int, wanted: Filter, settings: RecallSettings
) -> list[Nearest]:
    """The ``depth`` memories with the highest cosine (of their best window), highest first.

    Args:
        space: where to look.
        query: float32 [dimension], of length 1.
        depth: how many.
        wanted: which memories are looked for.
        settings: how.
    """
    search = _scan_all if space.vectors <= settings.full_scan_rows else _scan_codes
    count = depth
    while True:
        found = search(space, query, count, wanted, settings)
        best = _best_windows(found)
        # A long text may fill many rows: then ask for more of them.
        if len(best) >= depth or len(found.ids) < count or count >= space.vectors:
            return best[:depth]
        count *= 4


def cosines_of(space: Space, query: FloatArray, ids: Sequence[int]) -> dict[int, Nearest]:
    """Cosine and window of given memories, as far as they are found."""
    parts = []
    for block, first in space.grouped(np.unique(np.asarray(ids, dtype=np.int64))):
        rows = block.rows
        counts = np.searchsorted(rows.ids, rows.ids[first], side="right") - first
        # Rows of the windows of all of them: each first row, and as many after it as there are windows.
        spans = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        cosines = _native.scan_dot(rows.codes, rows.scales, query, spans.astype(np.uint32))
        parts.append(_Found.of(rows, spans, cosines))
    return {item.id: item for item in _best_windows(_sorted(_join(parts)))} if parts else {}


def _scan_all(
    space: Space, query: FloatArray, count: int, wanted: Filter, settings: RecallSettings
) -> _Found:
    """Every row in INT8."""
    parts = [_scan_block(block, query, count, wanted, settings) for block in space.blocks]
    return _sorted(_join(parts), count)


def _scan_codes(
    space: Space, query: FloatArray, count: int, wanted: Filter, settings: RecallSettings
) -> _Found:
    """One-bit codes choose ``oversample * count`` rows, INT8 ranks them. Rows without signs: all in INT8."""
    parts = []
    for number, chosen in _closest(space, query_bits(query), settings.oversample * count, wanted, settings):
        rows = space.blocks[number].rows
        parts.append(_Found.of(rows, chosen, _native.scan_dot(rows.codes, rows.scales, query, chosen)))
    for block in space.blocks:
        if block.rows.signs is None:
            parts.append(_scan_block(block, query, count, wanted, settings))
    return _sorted(_join(parts), count)


def _closest(
    space: Space, bits: npt.NDArray[np.uint8], count: int, wanted: Filter, settings: RecallSettings
) -> list[tuple[int, npt.NDArray[np.uint32]]]:
    """The rows with the smallest distances of all blocks with signs: (block, ascending rows)."""
    blocks, rows = np.empty(0, np.int64), np.empty(0, np.uint32)
    distances, limit = np.empty(0, np.int32), None
    for number, block in enumerate(space.blocks):
        if block.rows.signs is None:
            continue
        # What the blocks before have found bounds what this one still has to look at.
        best, near = _native.scan_top_bits(
            block.rows.signs,
            bits,
            count,
            excluded=block.bitmap(wanted),
            threads=settings.threads,
            max_distance=limit,
        )
        blocks, rows = np.append(blocks, np.full(len(best), number)), np.append(rows, best)
        distances = np.append(distances, near)
        if len(distances) >= count:
            kept = np.argsort(distances, kind="stable")[:count]
            blocks, rows, distances = blocks[kept], rows[kept], distances[kept]
            limit = int(distances[-1])
    return [(int(number), np.sort(rows[blocks == number])) for number in np.unique(blocks)]


def _scan_block(
    block: Block, query: FloatArray, count: int, wanted: Filter, settings: RecallSettings
) -> _Found:
    rows, excluded = block.rows, block.bitmap(wanted)
    best, cosines = _native.scan_top_dot(
        rows.codes, rows.scales, query, count, excluded=excluded, threads=settings.threads
    )
    return _Found.of(rows, best, cosines)


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
