"""Blocks that stay with the CPU, whose weights pass through the device for long prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.engine.placed_plan import PlacedPlan

__all__ = ["PassingBlocks"]


class PassingBlocks:
    """The table of embeddings and the first blocks; used as a plan is.

    Forwards of few rows run on the CPU. Of long ones the device runs the blocks, two of which are there at a
    time; when it fails, the CPU does.
    """

    def __init__(self, table: _native.Plan, blocks: PlacedPlan, rows: int, weights_bytes: int = 0) -> None:
        """Of models with one block here at least.

        Args:
            table: from token ids to states.
            blocks: from states to what the last of these blocks leaves.
            rows: of a forward, from which on they pass through the device.
            weights_bytes: that cross then; keys and values that cross with them count beside these. 0: all
                that cross count as nothing.
        """
        self._table, self._blocks, self._rows = table, blocks, rows
        self._bytes = weights_bytes
        self.scratch_bytes_per_token: int = blocks.scratch_bytes_per_token

    def run(
        self,
        token_ids: NDArray[np.int32],
        offsets: NDArray[np.int32],
        threads: _native.ThreadPool,
        normalise: bool = False,  # noqa: FBT001  as of a plan
    ) -> NDArray[np.float32]:
        """Of whole sequences; float32 [tokens, hidden]."""
        states = self._table.run(token_ids, offsets, threads, normalise=normalise)
        if len(token_ids) < self._rows:
            return self._blocks.plan.run_rows(states, threads, offsets)
        return self._blocks.run_rows(states, threads, offsets)

    def run_cached(
        self,
        cache: _native.KvCache,
        sequences: list[int],
        token_ids: NDArray[np.int32],
        offsets: NDArray[np.int32],
        threads: _native.ThreadPool,
    ) -> NDArray[np.float32]:
        """Appends tokens to sequences of a cache in memory of the host; float32 [tokens, hidden]."""
        states = self._table.run(token_ids, offsets, threads, normalise=False)
        if not self._passes(cache, sequences, len(token_ids)):
            return self._blocks.plan.run_cached(cache, sequences, None, offsets, threads, rows=states)
        return self._blocks.run_cached(cache, sequences, offsets, threads, states)

    def _passes(self, cache: _native.KvCache, sequences: list[int], rows: int) -> bool:
        """Whether there are rows enough for what crosses: texts that go on by a token read many pages."""
        if rows < self._rows or not self._bytes:
            return rows >= self._rows
        tokens = rows + sum(cache.length(sequence) for sequence in sequences)
        pages = tokens * cache.page_bytes / cache.page_tokens
        return rows >= self._rows * (1 + pages / self._bytes)

    def rows_at_once(self, rows: int) -> int:
        """As of `PlacedPlan`."""
        return self._blocks.rows_at_once(rows)

    def kernels(self) -> list[str]:
        """Those of the CPU."""
        return list(dict.fromkeys(self._table.kernels() + self._blocks.plan.kernels()))
