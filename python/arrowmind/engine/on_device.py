"""Plans on a device, and on the CPU whenever the device fails: no request is lost (E7)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from arrowmind.engine.device import refuse_device, refuse_mixed
from arrowmind.engine.device_pauses import Fullness, Rest, reason_of
from arrowmind.engine.device_telemetry import describe_opened, follow_host
from arrowmind.engine.forward_room import ForwardBound, bound_of
from arrowmind.engine.opened_device import OpenedDevice, PlanShare
from arrowmind.engine.placed_plan import PlacedPlan
from arrowmind.errors import DeviceError, DeviceMemoryError, DeviceUnsupportedError
from arrowmind.observe import get_logger, metrics, record_fallback

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Sequence

    from arrowmind import _native
    from arrowmind.engine.placed_cache import PlacedCache

__all__ = ["DeviceHost"]

_log = get_logger("arrowmind.engine")
_Result = TypeVar("_Result")

# Drivers take up to 2 MiB more for a buffer than was asked for: of what is free so much is used.
_ASKED = 15 / 16


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
        forward_rows: int = 0,
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
            forward_rows: Most rows of a forward there, as `device.forward_rows`.
        """
        self.name = name
        self._mixed = mixed
        self._graphs = graphs
        self._wgmma = wgmma
        self.vram = vram
        self._forward_rows = forward_rows
        self._forwards: ForwardBound | None = None  # of the room that there was when it was first opened
        self.placement: dict[str, Any] = {}  # what of the model is there, for who asks
        # With the plans, so that no other gets the identity of one.
        self._shares: dict[int, tuple[_native.Plan, PlanShare]] = {}
        self.falls_back = falls_back
        self._most_used = most_used
        self._lock = threading.Lock()
        self._opened: OpenedDevice | None = None
        self._rest, self._fullness = Rest(), Fullness(name, most_used)
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
                opened.memory.trim(self.forwards.kept_bytes)
                self._rest.forget()
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
        return self._room_of(opened, free, total)

    def _room_of(self, opened: OpenedDevice, free: int, total: int) -> int:
        others = total - free - opened.device.taken_bytes
        room = max(0, int(_ASKED * (self._most_used * total - others)))
        return min(room, self.vram) if self.vram else room

    @property
    def forwards(self) -> ForwardBound:
        """The most of one forward there; of a device that was not open yet, what any takes."""
        return self._forwards or bound_of(0, 0, self._forward_rows, shares_host_memory=True)

    def limit_forwards(self, size: int) -> None:
        """Buffers of one forward take no more from now on, as weights have the rest of the room."""
        self._forwards = self.forwards._replace(bytes=size)

    def most_rows(self, plan: _native.DevicePlan) -> int:
        """Of one forward of it."""
        bound = self.forwards
        return min(bound.rows, plan.most_rows(bound.bytes))

    def rows_at_once(self, plan: _native.Plan, rows: int) -> int:
        """Tokens of prompts that come to a plan at once now, where the CPU reads `rows`."""
        opened = self._opened
        placed = None if opened is None or self._rest.lasts else opened.plans.get(id(plan))
        return rows if placed is None else min(self.forwards.rows_beside(rows), self.most_rows(placed))

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
            `serves` (whether it is used now), and where it is open `free_bytes` and `total_bytes` of all who
            use it, `vram_bytes` and `forward_bytes` (the most of this engine, and of one of its forwards),
            what `describe_opened` has, and `cache_bytes` of this engine.
        """
        opened = self._opened
        told: dict[str, Any] = {"serves": opened is not None and not self._rest.lasts, **self.placement}
        if opened is None:
            return told
        try:
            free, total = opened.device.memory()
        except DeviceError as error:
            return {**told, "serves": False, "error": str(error)}
        return {
            **told,
            "free_bytes": free,
            "total_bytes": total,
            "vram_bytes": self.vram or None,
            "forward_bytes": self.forwards.bytes,
            **describe_opened(opened),
            "cache_bytes": sum(cache.device_bytes for one in self._caches if (cache := one()) is not None),
        }

    def _ready(self) -> OpenedDevice | None:
        """The open device; None while the CPU serves."""
        with self._lock:
            if self._rest.lasts:
                return None
            if self._opened is None or self._opened.device.is_lost:
                self._opened = None  # its memory first
                self._opened = self._open()
            return None if self._fullness.of(self._opened) else self._opened

    def _open(self) -> OpenedDevice:
        opened = OpenedDevice(self.name, self.vram, mixed=self._mixed, graphs=self._graphs, wgmma=self._wgmma)
        info = opened.device.info()
        _log.info("device opened", device=self.name, **info)
        if self._forwards is None:
            room = self._room_of(opened, *opened.device.memory())
            shares = info["shares_host_memory"]
            place, rows = info["most_place_bytes"], self._forward_rows
            self._forwards = bound_of(room, place, rows, shares_host_memory=shares)
        if self._mixed and not opened.can_mix():
            refuse_mixed(self.name, falls_back=self.falls_back)
        return opened

    def _failed(self, opened: OpenedDevice | None, plan: _native.Plan | None, error: DeviceError) -> None:
        with self._lock:
            if plan is not None and isinstance(error, DeviceUnsupportedError):
                self._unsupported[id(plan)] = plan
            else:
                self._rest.begin()
            # Threads that still run there hold it; the last one gives it back.
            if self._opened is opened and (opened is None or opened.device.is_lost):
                self._opened = None
        if self.falls_back:
            record_fallback("device", reason_of(error), device=self.name, used="cpu", words=str(error))
        if opened is not None and isinstance(error, DeviceMemoryError):
            opened.give_way()
        if not self.falls_back:
            raise error
