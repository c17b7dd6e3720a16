"""The text index of an encrypted store: each process makes its own, in memory, when it first needs one.

On a disk the dictionary of an index is the words of the memories, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.searching.indexing import texts_of
from arrowmind.memory.searching.text_index import TextIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.memory.searching.text_index import IndexedText
    from arrowmind.memory.storage.blocks import Block
    from arrowmind.memory.storage.snapshot import Snapshot

__all__ = ["MemoryIndex"]

# Forgotten memories stay in the index until they are so many times the others.
_MOST_STALE = 1.0


class MemoryIndex:
    """Follows the segments of a store; what waits in the catalogue is not in it.

    Attributes:
        index: to search in.
        terms: of all memories that were put in.
    """

    index: TextIndex
    terms: int

    def __init__(self, store: Path) -> None:
        """Makes an empty one; the folder of the store is for messages."""
        self._store = store
        self._clear()

    def _clear(self) -> None:
        self.index, self.terms = TextIndex(self._store, in_memory=True), 0
        self._segments: set[int] = set()
        self._ids: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def follow(self, snapshot: Snapshot) -> bool:
        """Takes in what came into segments; returns whether anything did."""
        blocks = [block for block in snapshot.blocks if block.segment is not None]
        if self._is_stale(blocks):
            self._clear()
        new = [block for block in blocks if block.segment and block.segment.id not in self._segments]
        if not new:
            return False
        ids, known = [self._ids], self._ids

        def texts() -> Iterator[IndexedText]:
            for block in new:
                firsts = block.rows.first_rows
                # A merged segment brings what is here already.
                firsts = firsts[~np.isin(block.rows.ids[firsts], known)]
                ids.append(block.rows.ids[firsts])
                yield from texts_of(block, firsts.tolist())

        _, added = self.index.write(texts(), ())
        self.terms += added
        self._ids = np.concatenate(ids)
        self._segments = {block.segment.id for block in blocks if block.segment}
        return True

    def _is_stale(self, blocks: list[Block]) -> bool:
        present = sum(len(block.rows.first_rows) for block in blocks)
        return len(self._ids) > (1 + _MOST_STALE) * max(present, 1)
