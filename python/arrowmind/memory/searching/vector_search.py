"""The vector leg: which memories lie nearest to a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from arrowmind.memory.storage.numbering import distinct
from arrowmind.memory.storage.vectors import query_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from arrowmind.memory.settings import RecallSettings
    from arrowmind.memory.storage.blocks import Block, Filter, Space
    from arrowmind.memory.storage.rows import Rows

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = ["Nearest", "cosines_of", "nearest", "similarities"]


class Nearest(NamedTuple):
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

    def chosen(self, kept: npt.NDArray[Any]) -> _Found:
        """Some of them."""
        return _Found(self.cosines[kept], self.ids[kept], self.windows[kept])


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
        best = _listed(_best_windows(found))
        # A long text may fill many rows: then ask for more of them.
        if len(best) >= depth or len(found.ids) < count or count >= space.vectors:
            return best[:depth]
        count *= 4


def cosines_of(space: Space, query: FloatArray, ids: Sequence[int], threads: int = 1) -> dict[int, Nearest]:
    """Cosine and window of given memories, as far as they are found."""
    return {item.id: item for item in _listed(_compared(space, query, ids, threads))}


def similarities(space: Space, query: FloatArray, ids: Sequence[int]) -> tuple[IntArray, FloatArray]:
    """The same as columns: ids and cosines of those of some memories that are found."""
    found = _compared(space, query, ids)
    return found.ids, found.cosines


def _compared(space: Space, query: FloatArray, ids: Sequence[int], threads: int = 1) -> _Found:
    """The best window of each of some memories."""
    firsts = space.rows_of(distinct(np.asarray(ids, dtype=np.int64)))
    if not len(firsts):
        return _Found(np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int32))
    counts = space.numbering.windows_of(firsts)
    # Rows of the windows of all of them: each first row, and as many after it as there are windows.
    rows = np.repeat(firsts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    return _best_windows(_sorted(_rescored(space, query, rows, threads)))


def _scan_all(
    space: Space, query: FloatArray, count: int, wanted: Filter, settings: RecallSettings
) -> _Found:
    """Every row in INT8, cold ones by their codes."""
    parts = [_scan_block(block, query, count, wanted, settings) for block in space.blocks]
    return _sorted(_join(parts), count)


def _scan_codes(
    space: Space, query: FloatArray, count: int, wanted: Filter, settings: RecallSettings
) -> _Found:
    """One-bit codes choose ``oversample * count`` rows, INT8 ranks them. Rows without signs: all in INT8."""
    excluded = [block.bitmap(wanted) for block in space.blocks]
    near = space.numbering.tables.near_bits(
        query_bits(query), settings.oversample * count, excluded, settings.threads
    )
    parts = [_rescored(space, query, near, settings.threads, settings.cold_finalists)]
    for block in space.blocks:
        if block.rows.signs is None:
            parts.append(_scan_block(block, query, count, wanted, settings))
    return _sorted(_join(parts), count)


def _rescored(space: Space, query: FloatArray, rows: IntArray, threads: int, finalists: int = 0) -> _Found:
    """Rows of the numbering of a space, ascending, in INT8, cold ones as well as can be."""
    ids, windows = space.numbering.ids_and_windows(rows)
    return _Found(space.numbering.cosines(query, rows, threads, finalists), ids, windows)


def _scan_block(
    block: Block, query: FloatArray, count: int, wanted: Filter, settings: RecallSettings
) -> _Found:
    best, cosines = block.rows.best(query, count, block.bitmap(wanted), settings)
    return _Found.of(block.rows, best, cosines)


def _join(parts: list[_Found]) -> _Found:
    return _Found(
        np.concatenate([part.cosines for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.windows for part in parts]),
    )


def _sorted(found: _Found, count: int | None = None) -> _Found:
    """Highest cosine first, then lower id, then lower window; the first ``count``."""
    if count is not None and len(found.ids) > count:
        least = np.partition(found.cosines, -count)[-count]
        found = found.chosen(found.cosines >= least)
    order = np.lexsort((found.windows, found.ids, -found.cosines))[:count]
    return found.chosen(order)


def _best_windows(found: _Found) -> _Found:
    """Of sorted rows the first of each memory."""
    order = np.argsort(found.ids, kind="stable")
    ids = found.ids[order]
    is_first = np.append(True, ids[1:] != ids[:-1]) if len(ids) else np.empty(0, np.bool_)
    return found if is_first.all() else found.chosen(np.sort(order[is_first]))


def _listed(best: _Found) -> list[Nearest]:
    return list(map(Nearest, best.ids.tolist(), best.cosines.tolist(), best.windows.tolist()))
