"""Plans on a device, and on the CPU whenever the device fails: no request is lost (E7)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from arrowmind.engine.device import refuse_mixed
from arrowmind.engine.device_telemetry import describe_upload, follow_host
from arrowmind.engine.opened_device import OpenedDevice, PlanShare
from arrowmind.engine.peaks import RowPeaks, peaks_of
from arrowmind.engine.placed_cache import PlacedCache
from arrowmind.engine.row_candidates import CandidatesWanted, RowCandidates, candidates_in, candidates_of
from arrowmind.errors import (
    DeviceError,
    DeviceLaunchError,
    DeviceLostError,
    DeviceMemoryError,
    DeviceUnsupportedError,
)
from arrowmind.observe import get_logger, metrics, record_fallback

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from arrowmind import _native
    from arrowmind.config import DeviceSettings
    from arrowmind.engine.front_blocks import FrontBlocks

__all__ = ["DeviceHost", "PlacedPlan", "host_of", "refuse_device"]

_log = get_logger("arrowmind.engine")
_Result = TypeVar("_Result")

# After a failure the CPU serves for so long, twice as long after each further one.
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 1.0, 60.0
# How often the device is asked how full it is.
_ASK_SECONDS = 0.25
# Drivers take up to 2 MiB more for a buffer than was asked for: of what is free so much is used.
_ASKED = 15 / 16
# Rows of a forward: enough to fill a device, and its buffers stay small.
_MICRO_TOKENS = 4096
# Fewer of wide models: the buffers of a forward are one, and devices bind 128 MiB of it, some no more.
_FORWARD_BYTES = 64 << 20

_REASONS: tuple[tuple[type[DeviceError], str], ...] = (
    (DeviceMemoryError, "out of memory"),
    (DeviceLaunchError, "a kernel did not run"),
    (DeviceLostError, "the device was lost"),
    (DeviceUnsupportedError, "it has no kernel for the model"),
    (DeviceError, "the device failed"),
)


def host_of(device: str, settings: DeviceSettings, vram: int = 0) -> DeviceHost:
    """What runs the plans of a model on `device`; it takes at most `vram` bytes there, 0 is no bound."""
    falls_back = settings.fallback == "cpu"
    return DeviceHost(
        device,
        falls_back=falls_back,
        most_used=settings.most_used,
        vram=vram,
        mixed=settings.precision == "mixed",
        graphs=settings.graphs,
        wgmma=settings.wgmma,
    )


def refuse_device(device: str, reason: str, *, falls_back: bool) -> None:
    """Tells that the CPU serves for good.

    Raises:
        DeviceUnsupportedError: It may not.
    """
    if not falls_back:
        raise DeviceUnsupportedError(f"device {device!r} cannot be had: {reason}; use device='cpu'")
    record_fallback("device", reason, device=device, used="cpu")


class DeviceHost:
    """The device of an engine: opened when it is first needed, left alone for a while after it failed.

    A device that was lost is opened anew, with all weights. Safe from several threads.
    """

    def __init__(
        self,
        name: str,
        *,
        falls_back: bool = True,
        most_used: float = 1.0,
        vram: int = 0,
        mixed: bool = False,
        graphs: str = "auto",
        wgmma: str = "auto",
    ) -> None:
        """Opens nothing yet.

        Args:
            name: Of a device, such as `cuda:0`.
            falls_back: False raises what the device answers instead of going on on the CPU.
            most_used: Share of the device's memory, whoever has it, above which the CPU serves.
            vram: Most bytes that are taken of it; 0 for no bound.
            mixed: Products of rows in float32 round these to bfloat16 there.
            graphs: Whether forwards that come again run as one, as `device.graphs`.
            wgmma: Whether large products of mixed precision run by warpgroups, as `device.wgmma`.
        """
        self.name = name
        self._mixed = mixed
        self._graphs = graphs
        self._wgmma = wgmma
        self.vram = vram
        self.placement: dict[str, Any] = {}  # what of the model is there, for who asks
        # With the plans, so that no other gets the identity of one.
        self._shares: dict[int, tuple[_native.Plan, PlanShare]] = {}
        self.falls_back = falls_back
        self._most_used = most_used
        self._lock = threading.Lock()
        self._opened: OpenedDevice | None = None
        self._rests_until = 0.0
        self._rest = _FIRST_REST_SECONDS
        self._asked_at = -_ASK_SECONDS
        self._is_full = False
        self.is_refused = False
        # Plans that never run there, by identity; held, so that no other plan gets it.
        self._unsupported: dict[int, _native.Plan] = {}
        self._caches: list[weakref.ref[PlacedCache]] = []
        follow_host(self)

    def run(
        self,
        plan: _native.Plan,
        there: Callable[[_native.DevicePlan], _Result],
        here: Callable[[], _Result],
    ) -> _Result:
        """What `there` gives; where the device cannot, it is logged and counted, and `here` serves.

        Raises:
            DeviceError: The device failed, and this host does not fall back.
        """
        return self.run_together((plan,), lambda placed: there(placed[0]), here)

    def run_together(
        self,
        plans: Sequence[_native.Plan],
        there: Callable[[list[_native.DevicePlan]], _Result],
        here: Callable[[], _Result],
    ) -> _Result:
        """As `run`, of several plans that one request needs: all of it is done in one place."""
        plan = plans[0]
        opened: OpenedDevice | None = None
        try:
            opened = None if id(plan) in self._unsupported else self._ready()
            if opened is not None:
                result = there([opened.plan(one, self._share(one)) for one in plans])
                self._rest = _FIRST_REST_SECONDS
                metrics.device_forwards.add(device=self.name, where="device")
                return result
        except DeviceError as error:
            self._failed(opened, plan, error)
        metrics.device_forwards.add(device=self.name, where="cpu")
        return here()

    def _share(self, plan: _native.Plan) -> PlanShare | None:
        _, share = self._shares.get(id(plan), (plan, None))
        return share

    def refuse(self, reason: str) -> None:
        """Tells that the CPU serves for good; nothing is asked of the device any more.

        Raises:
            DeviceError: This host does not fall back.
        """
        self.is_refused = True
        refuse_device(self.name, reason, falls_back=self.falls_back)

    def failed(self, error: DeviceError) -> None:
        """What a caller asked the device for failed; from here on the CPU serves for a while.

        Raises:
            DeviceError: This host does not fall back.
        """
        self._failed(self._opened, None, error)

    def serves(self, plan: _native.Plan) -> bool:
        """Whether the device has all kernels of a plan, as far as is known."""
        return id(plan) not in self._unsupported

    def add_cache(self, cache: weakref.ref[PlacedCache]) -> None:
        """Another cache whose pages may be on the device."""
        self._caches = [one for one in self._caches if one() is not None]
        self._caches.append(cache)

    def place(self, plan: _native.Plan, share: PlanShare | None = None) -> PlacedPlan:
        """The plan on this device: all of it, or its share."""
        if share is not None:
            self._shares[id(plan)] = (plan, share)
        return PlacedPlan(plan, self)

    def room(self) -> int | None:
        """Bytes of the device that this engine may take now; None where the device does not say.

        Raises:
            DeviceError: It failed, and this host does not fall back.
        """
        opened: OpenedDevice | None = None
        try:
            opened = self._ready()
            if opened is None:
                return None
            free, total = opened.device.memory()
        except DeviceError as error:
            self._failed(opened, None, error)
            return None
        others = total - free - opened.device.taken_bytes
        room = max(0, int(_ASKED * (self._most_used * total - others)))
        return min(room, self.vram) if self.vram else room

    def bound(self, vram: int) -> None:
        """At most so many bytes are taken from now on."""
        with self._lock:
            self.vram = vram
            if self._opened is not None:
                self._opened.device.limit(vram)

    def pass_over(self, reason: str) -> None:
        """Tells that the CPU does one thing in the device's place.

        Raises:
            DeviceError: This host does not fall back.
        """
        refuse_device(self.name, reason, falls_back=self.falls_back)

    def prepare(self, plan: _native.Plan) -> None:
        """Brings a plan's weights there now.

        Raises:
            DeviceError: It cannot run there, and this host does not fall back.
        """
        self.run(plan, lambda _: None, lambda: None)

    def kernels(self, plan: _native.Plan) -> list[str]:
        """Kernels that the plan runs by: the device's, or where it does not serve the CPU's."""
        opened = self._opened
        if opened is None or id(plan) not in opened.plans:
            return plan.kernels()
        return opened.plans[id(plan)].kernels()

    def info(self) -> dict[str, Any]:
        """State and memory of the device.

        Returns:
            `serves` (whether it is used now), and where it is open `precision` (`mixed` where products round
            their rows, see `device.precision`), `wgmma` (see `OpenedDevice.wgmma`), `free_bytes` and
            `total_bytes` of all who use it, `weight_bytes`, `buffer_bytes` and `cache_bytes` of this engine,
            `upload` (how its weights came there, see `describe_upload`), and what `OpenedDevice.counters`
            has.
        """
        opened = self._opened
        told: dict[str, Any] = {"serves": opened is not None and not self._is_resting(), **self.placement}
        if opened is None:
            return told
        try:
            free, total = opened.device.memory()
        except DeviceError as error:
            return {**told, "serves": False, "error": str(error)}
        buffers = opened.memory.counters()["reserved_bytes"]
        return {
            **told,
            "precision": opened.precision(),
            "wgmma": opened.wgmma(),
            "free_bytes": free,
            "total_bytes": total,
            "vram_bytes": self.vram or None,
            "taken_bytes": opened.device.taken_bytes,
            "weight_bytes": opened.weights.bytes,
            "upload": describe_upload(opened.weights.uploaded()),
            "buffer_bytes": buffers,
            **opened.counters(),
            "cache_bytes": sum(cache.device_bytes for one in self._caches if (cache := one()) is not None),
        }

    def _is_resting(self) -> bool:
        return time.monotonic() < self._rests_until

    def _ready(self) -> OpenedDevice | None:
        """The open device; None while the CPU serves."""
        with self._lock:
            if self._is_resting():
                return None
            if self._opened is None or self._opened.device.is_lost:
                self._opened = None  # its memory first
                self._opened = self._open()
            return None if self._has_no_room(self._opened) else self._opened

    def _open(self) -> OpenedDevice:
        opened = OpenedDevice(self.name, self.vram, mixed=self._mixed, graphs=self._graphs, wgmma=self._wgmma)
        _log.info("device opened", device=self.name, **opened.device.info())
        if self._mixed and not opened.can_mix():
            refuse_mixed(self.name, falls_back=self.falls_back)
        return opened

    def _has_no_room(self, opened: OpenedDevice) -> bool:
        now = time.monotonic()
        if self._most_used >= 1.0 or now - self._asked_at < _ASK_SECONDS:
            return self._is_full
        self._asked_at = now
        was_full = self._is_full
        self._is_full = _used(opened) > self._most_used
        if self._is_full:
            opened.give_way()  # what is kept for later may be all there is to it
            self._is_full = _used(opened) > self._most_used
        if self._is_full and not was_full:
            record_fallback("device", "its memory is nearly full", device=self.name, used="cpu")
        return self._is_full

    def _failed(self, opened: OpenedDevice | None, plan: _native.Plan | None, error: DeviceError) -> None:
        reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
        with self._lock:
            if plan is not None and isinstance(error, DeviceUnsupportedError):
                self._unsupported[id(plan)] = plan
            else:
                self._rests_until = time.monotonic() + self._rest
                self._rest = min(2 * self._rest, _LONGEST_REST_SECONDS)
            # Threads that still run there hold it; the last one gives it back.
            if self._opened is opened and (opened is None or opened.device.is_lost):
                self._opened = None
        if self.falls_back:
            record_fallback("device", reason, device=self.name, used="cpu", words=str(error))
        if opened is not None and isinstance(error, DeviceMemoryError):
            opened.give_way()
        if not self.falls_back:
            raise error


class PlacedPlan:
    """A plan on a device, used as the plan itself is."""

    def __init__(self, plan: _native.Plan, host: DeviceHost) -> None:
        self.plan = plan
        self._host = host
        bytes_per_row = max(1, plan.scratch_bytes_per_token)
        self._rows = max(1, min(_MICRO_TOKENS, _FORWARD_BYTES // bytes_per_row))
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
            lambda there: there.run(token_ids, offsets, normalise, self._rows),
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
            lambda there: there.run_rows(rows, self._rows, offsets, normalise),
            lambda: self.plan.run_rows(rows, threads, offsets, normalise, micro_tokens),
        )

    def run_peaks(self, rows: NDArray[np.float32], threads: _native.ThreadPool) -> RowPeaks:
        """As `run_rows`, of each row of results the highest; the others stay on the device."""
        return self._host.run(
            self.plan,
            lambda there: RowPeaks(*there.run_rows_peaks(rows, self._rows)),
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
            lambda there: candidates_in(*there.run_rows_candidates(rows, *wanted, self._rows), wanted.best),
            lambda: candidates_of(self.plan.run_rows(rows, threads), wanted),
        )

    def run_there(
        self,
        there: Callable[[_native.DevicePlan], _native.SharedRows],
        here: Callable[[], _native.SharedRows],
    ) -> _native.SharedRows:
        """What `there` gives on the device; `here` where it cannot serve, as `DeviceHost.run`."""
        return self._host.run(self.plan, there, here)

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
            lambda there: there.run_cached(cache, sequences, None, offsets, _MICRO_TOKENS, rows),
            lambda: self.plan.run_cached(cache, sequences, None, offsets, threads, rows=rows),
        )

    def cache(
        self,
        cache: _native.KvCache,
        threads: _native.ThreadPool,
        page_tokens: int,
        front: FrontBlocks | None = None,
    ) -> PlacedCache:
        """A cache for this plan whose pages are on the device while that serves; `front` is before it."""
        return PlacedCache(cache, self.plan, self._host, threads, page_tokens, front)

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


def _used(opened: OpenedDevice) -> float:
    free, total = opened.device.memory()
    return 1.0 - free / total if total > 0 else 0.0
