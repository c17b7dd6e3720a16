"""Forwards of a transcript over one window of sound: on the CPU, or all of them on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from arrowmind import _native
from arrowmind.engine.tower_compiler import compile_memory, compile_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from arrowmind.engine.senses import Senses

__all__ = ["TranscriptForward", "TranscriptPlans"]

_Result = TypeVar("_Result")
_PAGE = 64


class TranscriptForward(Protocol):
    """One window: what was heard, and the tower that looks at it."""

    def states(self, ids: list[int]) -> NDArray[np.float32]:
        """What the tower leaves of tokens that nothing was written before, [tokens, columns]."""

    def more(self, cache: _native.KvCache, sequence: int, ids: list[int]) -> NDArray[np.float32]:
        """The same of tokens that continue a sequence."""

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """What follows the last row, [vocabulary]."""


class TranscriptPlans:
    """The plans of a transcript: the tower, the keys and values that it looks at, and the head."""

    def __init__(self, senses: Senses) -> None:
        """Compiles what the towers do not have, and brings it to the device of the model, if it has one.

        Raises:
            WeightError: a tensor is missing or has another shape than the model needs.
        """
        self._tower = tower = senses.tower("transcript")
        self._threads, self._host = senses.threads, senses.host
        self.writer = senses.compiled["transcript"]
        self.memory = compile_memory(tower, senses.weights, senses.options)
        self.head = compile_output(senses.model.head or "", tower, senses.model.vocabulary, senses.weights)
        if self._host is not None:
            self._host.run_together(self._all, lambda _: None, lambda: None)

    @property
    def _all(self) -> tuple[_native.Plan, _native.Plan, _native.Plan]:
        return self.writer, self.memory, self.head

    def cache(self) -> _native.KvCache:
        """For the keys and values of what is written; its pages go where it is used."""
        heads = self._tower.blocks[0].attention.heads
        layers = [(0, heads, self._tower.hidden // heads) for _ in self._tower.blocks]
        return _native.KvCache(layers, "fp32", _PAGE, self._tower.rows)

    def over(self, heard: NDArray[np.float32], work: Callable[[TranscriptForward], _Result]) -> _Result:
        """What `work` makes of a window, [rows, columns]: of one place, from its beginning.

        Where a device fails in the middle, the CPU does all of it again, and that is logged and counted.

        Raises:
            DeviceError: the device failed, and its host does not fall back.
        """

        def here() -> _Result:
            return work(_Here(*self._all, self._threads, heard))

        if self._host is None:
            return here()
        return self._host.run_together(self._all, lambda placed: work(_There(placed, heard)), here)


class _Here:
    def __init__(
        self,
        writer: _native.Plan,
        memory: _native.Plan,
        head: _native.Plan,
        threads: _native.ThreadPool,
        heard: NDArray[np.float32],
    ) -> None:
        self._writer, self._head, self._threads = writer, head, threads
        self._memory = memory.run_rows(heard, threads)
        self._offsets = _whole(len(heard))

    def states(self, ids: list[int]) -> NDArray[np.float32]:
        return self._writer.run(
            np.asarray(ids, dtype=np.int32),
            _whole(len(ids)),
            self._threads,
            False,
            memory=self._memory,
            memory_offsets=self._offsets,
        )

    def more(self, cache: _native.KvCache, sequence: int, ids: list[int]) -> NDArray[np.float32]:
        return self._writer.run_cached(
            cache,
            [sequence],
            np.asarray(ids, dtype=np.int32),
            _whole(len(ids)),
            self._threads,
            memory=self._memory,
            memory_offsets=self._offsets,
        )

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._head.run_rows(states[-1:], self._threads)[0]
        return found


class _There:
    """Keys and values of the sound stay on the device from its first row to the last token."""

    def __init__(self, plans: list[_native.DevicePlan], heard: NDArray[np.float32]) -> None:
        self._writer, memory, self._head = plans
        self._memory = memory.rows(len(heard))
        memory.run_rows_there(heard, self._memory, np.arange(len(heard), dtype=np.int32))
        self._offsets = _whole(len(heard))

    def states(self, ids: list[int]) -> NDArray[np.float32]:
        return self._writer.run(
            np.asarray(ids, dtype=np.int32),
            _whole(len(ids)),
            memory=self._memory,
            memory_offsets=self._offsets,
        )

    def more(self, cache: _native.KvCache, sequence: int, ids: list[int]) -> NDArray[np.float32]:
        return self._writer.run_cached(
            cache,
            [sequence],
            np.asarray(ids, dtype=np.int32),
            _whole(len(ids)),
            memory=self._memory,
            memory_offsets=self._offsets,
        )

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._head.run_rows(states[-1:])[0]
        return found


def _whole(rows: int) -> NDArray[np.int32]:
    """Offsets of all rows as one sequence."""
    return np.array([0, rows], dtype=np.int32)
