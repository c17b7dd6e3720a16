"""The blocks of a model that run on the CPU before those on a device, with pages of their own in memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.engine.passing_blocks import PassingBlocks

__all__ = ["FrontBlocks"]


class FrontBlocks:
    """Its sequences have the numbers that they have in the cache behind, which begins and ends them alike."""

    def __init__(
        self,
        plan: _native.Plan | PassingBlocks | None,
        cache: _native.KvCache | None,
        threads: _native.ThreadPool,
    ) -> None:
        """Begins without sequences.

        Args:
            plan: From token ids to what the last of these blocks leaves; None: there is nothing before.
            cache: Of their keys and values; None where there is nothing but the table of embeddings.
            threads: To run on.
        """
        self._plan, self._cache, self._threads = plan, cache, threads

    def run(
        self, sequences: list[int], token_ids: NDArray[np.int32], offsets: NDArray[np.int32]
    ) -> NDArray[np.float32] | None:
        """Appends tokens to sequences; float32 [tokens, hidden], or None where there is nothing before.

        Raises:
            CacheFullError: There are too few pages.
        """
        if self._plan is None:
            return None
        if self._cache is None:
            return self._plan.run(token_ids, offsets, self._threads, normalise=False)
        return self._plan.run_cached(self._cache, sequences, token_ids, offsets, self._threads)

    @contextmanager
    def rewound(self, sequence: int) -> Iterator[None]:
        """While it lasts, the tokens of a sequence are appended once more, from the first on.

        Its pages gain nothing by it, and it has all of its tokens again behind it.
        """
        if self._cache is None:
            yield
            return
        length = self._cache.length(sequence)
        self._cache.rewind(sequence, 0)
        try:
            yield
        finally:
            self._cache.rewind(sequence, length)

    def take_back(self, sequences: Sequence[int], offsets: NDArray[np.int32]) -> None:
        """Forgets what a forward appended, as what is behind it failed."""
        for sequence, begin, end in zip(sequences, offsets, offsets[1:], strict=False):
            self.forget(sequence, int(end - begin))

    def start(self, sequence: int, shift: int) -> None:
        """A new sequence."""
        if self._cache is not None:
            _check(sequence, self._cache.start(shift))

    def fork(self, sequence: int, made: int, tokens: int) -> None:
        """A new sequence of the first tokens of another."""
        if self._cache is not None:
            _check(made, self._cache.fork(sequence, tokens))

    def forget(self, sequence: int, tokens: int) -> None:
        """Drops its last tokens, and what was reserved for it."""
        if self._cache is not None:
            self._cache.forget(sequence, tokens)

    def close(self, sequence: int) -> None:
        """Ends a sequence."""
        if self._cache is not None:
            self._cache.close(sequence)

    def reserve(self, growth: list[tuple[int, int]]) -> None:
        """Sees to it that what will come cannot run out of pages midway.

        Raises:
            CacheFullError: There are too few.
        """
        if self._cache is not None:
            self._cache.reserve(growth)

    def copy_pages(self, sequence: int, first: int, out: NDArray[np.uint8]) -> None:
        """Copies whole pages of a sequence."""
        if self._cache is not None:
            self._cache.copy_pages(sequence, first, out)

    def trim(self) -> None:
        """Gives the memory of free pages back."""
        if self._cache is not None:
            self._cache.trim()

    @property
    def page_bytes(self) -> int:
        """Bytes of a page of these blocks."""
        return 0 if self._cache is None else self._cache.page_bytes

    @property
    def held_bytes(self) -> int:
        """Memory that the pages take."""
        return 0 if self._cache is None else self._cache.held_bytes


def _check(wanted: int, made: int) -> None:
    """Two caches that are told the same number sequences alike."""
    if wanted != made:
        raise RuntimeError(f"sequence {wanted} is {made} in the blocks before")
