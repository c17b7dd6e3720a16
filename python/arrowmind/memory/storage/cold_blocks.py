"""What cold files keep compressed: texts and vectors, read block by block."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.columnar.row_blocks import unpack_block
from arrowmind.errors import MemoryStoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]
    ByteArray = npt.NDArray[np.uint8]

__all__ = ["Blocks", "ColdTexts", "ColdVectors"]

_CACHED_BLOCKS = 512


class Blocks:
    """Compressed rows of bytes behind each other; the last blocks that were read are kept."""

    def __init__(
        self, blocks: Sequence[ByteArray], counts: Sequence[int], name: str, dictionary: bytes = b""
    ) -> None:
        """Takes blocks as they lie in the file.

        Args:
            blocks: compressed.
            counts: rows of each.
            name: of the file, for errors.
            dictionary: that they were made with.
        """
        self._blocks, self._name, self._dictionary = blocks, name, dictionary
        # A row at a time is looked for, where a list is many times faster than an array.
        self._ends: list[int] = np.cumsum(counts, dtype=np.int64).tolist()
        self._read: OrderedDict[int, list[bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def row(self, number: int) -> bytes:
        """A row, counted from 0.

        Raises:
            MemoryStoreError: its block is damaged.
        """
        block = bisect_right(self._ends, number)
        before = self._ends[block - 1] if block else 0
        return self._rows(block, self._ends[block] - before)[number - before]

    def _rows(self, block: int, count: int) -> list[bytes]:
        with self._lock:
            if block in self._read:
                self._read.move_to_end(block)
                return self._read[block]
        rows = unpack_block(bytes(self._blocks[block]), f"{self._name}: block {block}", self._dictionary)
        if len(rows) != count:
            raise MemoryStoreError(f"{self._name}: block {block} does not hold the rows that it should")
        with self._lock:
            self._read[block] = rows
            if len(self._read) > _CACHED_BLOCKS:
                self._read.popitem(last=False)
        return rows


class ColdTexts:
    """Texts and metadata of cold memories: a block has the texts of some, then the metadata of each."""

    def __init__(
        self, blocks: Sequence[ByteArray], counts: Sequence[int], name: str, dictionary: bytes
    ) -> None:
        """Takes blocks, and how many memories each holds."""
        self._counts = list(counts)
        self._ends: list[int] = np.cumsum(self._counts, dtype=np.int64).tolist()
        self._rows = Blocks(blocks, [2 * count for count in counts], name, dictionary)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def pair(self, number: int) -> tuple[bytes, bytes]:
        """Text and metadata of a memory, counted from 0.

        Raises:
            MemoryStoreError: its block is damaged.
        """
        block = bisect_right(self._ends, number)
        # Rows of the blocks before this one are twice as many as their memories.
        row = number + self._ends[block] - self._counts[block]
        return self._rows.row(row), self._rows.row(row + self._counts[block])


class ColdVectors:
    """Vectors that no encoder makes again, bit for bit as they were.

    Attributes:
        scales: float32 [n], 1 / length of each, 0 for a vector of zeros.
    """

    def __init__(self, blocks: Blocks, scales: npt.NDArray[np.float32], dimension: int) -> None:
        """Takes compressed rows of codes, and the scales of all."""
        self._blocks, self.scales, self._dimension = blocks, scales, dimension

    def __len__(self) -> int:
        return len(self.scales)

    def codes(self, numbers: Sequence[int]) -> npt.NDArray[np.int8]:
        """INT8 codes [n, dimension] of some vectors, counted from 0.

        Raises:
            MemoryStoreError: a block is damaged.
        """
        found = np.empty((len(numbers), self._dimension), np.int8)
        for place, number in enumerate(numbers):
            row = self._blocks.row(number)
            if len(row) != self._dimension:
                raise MemoryStoreError(f"a cold vector has {len(row)} values, not {self._dimension}")
            found[place] = np.frombuffer(row, np.int8)
        return found
