"""A plan on a device, used as the plan itself is: the CPU runs it whenever the device cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.engine.peaks import RowPeaks, peaks_of
from arrowmind.engine.placed_cache import PlacedCache
from arrowmind.engine.row_candidates import CandidatesWanted, RowCandidates, candidates_in, candidates_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.engine.cache_settings import CacheSettings
    from arrowmind.engine.front_blocks import FrontBlocks
    from arrowmind.engine.on_device import DeviceHost

__all__ = ["PlacedPlan"]


class PlacedPlan:
    """A plan on a device, used as the plan itself is."""

    def __init__(self, plan: _native.Plan, host: DeviceHost) -> None:
        self.plan = plan
        self._host = host
        host.prepare(plan)

    def run(
        self,
        token_ids: NDArray[np.int32],
        offsets: NDArray[np.int32],
        threads: _native.ThreadPool,
        normalise: bool,  # noqa: FBT001  as of the plan
        micro_tokens: int = 128,
    ) -> NDArray[np.float32]:
        """As `_native.Plan.run`; `threads` and `micro_tokens` are for when it runs on the CPU."""
        return self._host.run(
            self.plan,
            lambda there: there.run(token_ids, offsets, normalise, self._rows(there)),
            lambda: self.plan.run(token_ids, offsets, threads, normalise, micro_tokens),
        )

    def run_rows(
        self,
        rows: NDArray[np.float32],
        threads: _native.ThreadPool,
        offsets: NDArray[np.int32] | None = None,
        normalise: bool = False,  # noqa: FBT001  as of the plan
        micro_tokens: int = 128,
    ) -> NDArray[np.float32]:
        """As `_native.Plan.run_rows`."""
        return self._host.run(
            self.plan,
            lambda there: there.run_rows(rows, self._rows(there), offsets, normalise),
            lambda: self.plan.run_rows(rows, threads, offsets, normalise, micro_tokens),
        )

    def run_peaks(self, rows: NDArray[np.float32], threads: _native.ThreadPool) -> RowPeaks:
        """As `run_rows`, of each row of results the highest; the others stay on the device."""
        return self._host.run(
            self.plan,
            lambda there: RowPeaks(*there.run_rows_peaks(rows, self._rows(there))),
            lambda: peaks_of(self.plan.run_rows(rows, threads)),
        )

    def run_candidates(
        self,
        rows: NDArray[np.float32],
        wanted: CandidatesWanted,
        threads: _native.ThreadPool,
    ) -> RowCandidates:
        """As `run_rows`, of the rows of results what is wanted of each; the others stay on the device."""
        return self._host.run(
            self.plan,
            lambda there: candidates_in(
                *there.run_rows_candidates(rows, *wanted, self._rows(there)), wanted.best
            ),
            lambda: candidates_of(self.plan.run_rows(rows, threads), wanted),
        )

    def run_there(
        self,
        there: Callable[[_native.DevicePlan, int], _native.SharedRows],
        here: Callable[[], _native.SharedRows],
    ) -> _native.SharedRows:
        """What `there` gives on the device, told how many rows come at once; `here` where it cannot serve."""
        return self._host.run(self.plan, lambda placed: there(placed, self._rows(placed)), here)

    def run_cached(
        self,
        cache: _native.KvCache,
        sequences: list[int],
        offsets: NDArray[np.int32],
        threads: _native.ThreadPool,
        rows: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """As `_native.Plan.run_cached`, of blocks that pass: the pages of the cache stay with the host."""
        return self._host.run(
            self.plan,
            lambda there: there.run_cached(cache, sequences, None, offsets, self._rows(there), rows),
            lambda: self.plan.run_cached(cache, sequences, None, offsets, threads, rows=rows),
        )

    def cache(
        self,
        cache: _native.KvCache,
        threads: _native.ThreadPool,
        settings: CacheSettings,
        front: FrontBlocks | None = None,
    ) -> PlacedCache:
        """A cache for this plan whose pages are on the device while that serves; `front` is before it."""
        return PlacedCache(cache, self.plan, self._host, threads, settings, front)

    def rows_at_once(self, rows: int) -> int:
        """The most rows of a forward over a cache now, where the CPU reads `rows` at once."""
        return self._host.rows_at_once(self.plan, rows)

    def pass_over(self, reason: str) -> None:
        """As `DeviceHost.pass_over`."""
        self._host.pass_over(reason)

    def kernels(self) -> list[str]:
        """By name."""
        return self._host.kernels(self.plan)

    @property
    def scratch_bytes_per_token(self) -> int:
        """Of a forward."""
        return self.plan.scratch_bytes_per_token

    def _rows(self, there: _native.DevicePlan) -> int:
        return self._host.most_rows(there)
