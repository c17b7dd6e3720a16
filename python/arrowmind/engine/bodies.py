"""The blocks of a language model as they run: in one place, or the last of them on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from arrowmind import _native
from arrowmind.engine.decoder_compiler import Part
from arrowmind.engine.front_blocks import FrontBlocks
from arrowmind.engine.opened_device import PlanShare
from arrowmind.engine.passing_blocks import PassingBlocks
from arrowmind.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind.engine.cache_settings import CacheSettings
    from arrowmind.engine.on_device import DeviceHost
    from arrowmind.engine.placed_cache import PlacedCache
    from arrowmind.engine.placed_plan import PlacedPlan

    MakeCache = Callable[[range], _native.KvCache]
    Compile = Callable[[Part | None], _native.Plan]

__all__ = ["Body", "Split", "SplitBody", "WholeBody", "make_body"]


class Split(NamedTuple):
    """What of a language model is on its device; what is before runs on the CPU.

    Attributes:
        blocks: how many of the last ones.
        head: whether the matrix of the head is there.
        experts_here: the experts of so many of the first of these blocks that have some stay with the CPU,
            which is given the rows of each, and gives back their sum.
        prompt_rows: forwards of so many rows send the blocks of the CPU through the device; 0: none do.
        prompt_bytes: of weights that cross then; 0: not counted.
        expert_room: bytes there for single ones of the experts that stay with the CPU; 0: none.
        expert_threshold: share of the last rounds that must have used one before it is brought.
    """

    blocks: int
    head: bool = True
    experts_here: int = 0
    prompt_rows: int = 0
    prompt_bytes: int = 0
    expert_room: int = 0
    expert_threshold: float = 1.0

    def check(self, blocks: int) -> None:
        """Raises InvalidArgumentError unless a model of so many blocks can be cut so."""
        if not 0 <= self.blocks <= blocks:
            raise InvalidArgumentError(
                f"{self.blocks} blocks on the device; the model has {blocks}: use 0 to {blocks}"
            )


class Body(Protocol):
    """From token ids to what the last block leaves."""

    @property
    def on_host(self) -> _native.Plan:
        """All of it, for the CPU."""

    @property
    def scratch_bytes_per_token(self) -> int:
        """Of a forward."""

    def kernels(self) -> list[str]:
        """By name."""

    def run(
        self, token_ids: NDArray[np.int32], offsets: NDArray[np.int32], threads: _native.ThreadPool
    ) -> NDArray[np.float32]:
        """Of whole sequences, without a cache; float32 [tokens, hidden]."""

    def cache(
        self, make: MakeCache, threads: _native.ThreadPool, settings: CacheSettings
    ) -> _native.KvCache | PlacedCache:
        """A cache whose pages lie where their blocks run; `make` gives the pages of blocks."""

    def rows_at_once(self, rows: int) -> int:
        """The most rows of a forward over a cache now, where the CPU reads `rows` at once."""

    def pass_over(self, reason: str) -> None:
        """Tells that the CPU does one thing in a device's place."""


def make_body(
    compile_part: Compile,
    blocks: int,
    threads: _native.ThreadPool,
    host: DeviceHost | None = None,
    split: Split | None = None,
) -> Body:
    """The body of a model.

    Args:
        compile_part: compiles a part of it; None is all of it, with its embedding.
        blocks: of the model.
        threads: for what the CPU computes in the middle of a forward on the device.
        host: of the device; None for the CPU.
        split: what is on the device; None is all of it.

    Raises:
        InvalidArgumentError: the model has fewer blocks than are to be there.
        DeviceError: the device cannot run them, and the host does not fall back.
    """
    if host is None or split is None:
        plan = compile_part(None)
        return WholeBody(plan if host is None else host.place(plan), blocks)
    split.check(blocks)
    if split.blocks == 0:
        return WholeBody(compile_part(None), blocks)
    return SplitBody(compile_part, blocks, host, split, threads)


def _share_of(split: Split, threads: _native.ThreadPool) -> PlanShare | None:
    """None where the last blocks are there with all of their experts."""
    if not split.experts_here:
        return None
    return PlanShare(
        split.experts_here,
        threads,
        expert_room=split.expert_room,
        expert_threshold=split.expert_threshold,
    )


class WholeBody:
    """All blocks in one place."""

    def __init__(self, plan: _native.Plan | PlacedPlan, blocks: int) -> None:
        self._body, self._blocks = plan, blocks
        self.on_host: _native.Plan = plan if isinstance(plan, _native.Plan) else plan.plan
        self.scratch_bytes_per_token: int = plan.scratch_bytes_per_token

    def kernels(self) -> list[str]:
        """By name."""
        return self._body.kernels()

    def run(
        self, token_ids: NDArray[np.int32], offsets: NDArray[np.int32], threads: _native.ThreadPool
    ) -> NDArray[np.float32]:
        """See `Body`."""
        return self._body.run(token_ids, offsets, threads, normalise=False)

    def cache(
        self, make: MakeCache, threads: _native.ThreadPool, settings: CacheSettings
    ) -> _native.KvCache | PlacedCache:
        """See `Body`."""
        pages = make(range(self._blocks))
        if isinstance(self._body, _native.Plan):
            return pages
        return self._body.cache(pages, threads, settings)

    def rows_at_once(self, rows: int) -> int:
        """See `Body`."""
        return rows if isinstance(self._body, _native.Plan) else self._body.rows_at_once(rows)

    def pass_over(self, reason: str) -> None:
        """See `Body`."""
        if not isinstance(self._body, _native.Plan):
            self._body.pass_over(reason)


class SplitBody:
    """The table of embeddings and the first blocks on the CPU, the others on a device.

    The hidden states of a forward cross to the device once, and once back. The first ones stay on the CPU,
    since token ids are there, and the head is behind the last ones.
    """

    def __init__(
        self,
        compile_part: Compile,
        blocks: int,
        host: DeviceHost,
        split: Split,
        threads: _native.ThreadPool,
    ) -> None:
        """Compiles both parts, and brings the second one to the device.

        Args:
            compile_part: as of `make_body`.
            blocks: of the model.
            host: of the device.
            split: what is on it; one block at least.
            threads: for experts that the CPU computes.

        Raises:
            DeviceError: it cannot run them, and the host does not fall back.
        """
        first = blocks - split.blocks
        self._here, self._there = range(first), range(first, blocks)
        self._front = self._before(compile_part, host, split)
        back = compile_part(Part(self._there, reads_states=True))
        self._back = host.place(back, _share_of(split, threads))
        self._compile = compile_part
        self._whole: _native.Plan | None = None

    def _before(self, compile_part: Compile, host: DeviceHost, split: Split) -> _native.Plan | PassingBlocks:
        """From token ids to what the last block of the CPU leaves."""
        if not self._here or not split.prompt_rows:
            return compile_part(Part(self._here))
        table = compile_part(Part(range(0)))
        passing = compile_part(Part(self._here, reads_states=True, passes=True))
        return PassingBlocks(
            table, host.place(passing, PlanShare(passes=True)), split.prompt_rows, split.prompt_bytes
        )

    @property
    def on_host(self) -> _native.Plan:
        """All blocks; compiled when it is first asked for, by what does not run on devices."""
        if self._whole is None:
            self._whole = self._compile(None)
        return self._whole

    @property
    def scratch_bytes_per_token(self) -> int:
        """Of the part that takes more."""
        return max(self._front.scratch_bytes_per_token, self._back.scratch_bytes_per_token)

    def kernels(self) -> list[str]:
        """Those of both parts."""
        return list(dict.fromkeys(self._front.kernels() + self._back.kernels()))

    def run(
        self, token_ids: NDArray[np.int32], offsets: NDArray[np.int32], threads: _native.ThreadPool
    ) -> NDArray[np.float32]:
        """See `Body`."""
        states = self._front.run(token_ids, offsets, threads, normalise=False)
        return self._back.run_rows(states, threads, offsets=offsets)

    def cache(self, make: MakeCache, threads: _native.ThreadPool, settings: CacheSettings) -> PlacedCache:
        """See `Body`."""
        front = FrontBlocks(self._front, make(self._here) if self._here else None, threads)
        return self._back.cache(make(self._there), threads, settings, front)

    def rows_at_once(self, rows: int) -> int:
        """See `Body`: what the CPU reads is the longer part of a forward, and its memory is counted so."""
        if isinstance(self._front, PassingBlocks):
            rows = min(rows, self._front.rows_at_once(rows))
        return min(rows, self._back.rows_at_once(rows))

    def pass_over(self, reason: str) -> None:
        """See `Body`."""
        self._back.pass_over(reason)
