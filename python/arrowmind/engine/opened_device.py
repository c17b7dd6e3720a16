"""A device that is open, and what of a model is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from arrowmind import _native
from arrowmind.engine.device_probe import open_device
from arrowmind.engine.device_telemetry import count_upload
from arrowmind.errors import DeviceUnsupportedError
from arrowmind.observe import record_fallback

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["OpenedDevice", "PlanShare"]

# Devices have all of these kernels, or none.
_MIXED_KERNEL = "linear_bf16_f32"


class PlanShare(NamedTuple):
    """What of a plan is on a device.

    Attributes:
        experts_here: the CPU computes the experts of so many of the first layers with such.
        threads: for these.
        passes: its blocks stay with the host, and are sent there by each forward.
        expert_room: bytes of the device for single ones of the experts that the CPU computes; 0: none.
        expert_threshold: share of the last rounds that must have used one before it is brought.
    """

    experts_here: int = 0
    threads: _native.ThreadPool | None = None
    passes: bool = False
    expert_room: int = 0
    expert_threshold: float = 1.0


class OpenedDevice:
    """An open device, what of the model is on it, and its memory for forwards."""

    def __init__(
        self, name: str, vram: int, *, mixed: bool = False, graphs: str = "auto", wgmma: str = "auto"
    ) -> None:
        """Opens it.

        Args:
            name: of the device.
            vram: most bytes that are taken of it; 0 for no bound.
            mixed: products of rows in float32 round these to bfloat16, where the device has kernels for it.
            graphs: whether forwards that come again run as one, as `device.graphs`.
            wgmma: whether large products of mixed precision run by warpgroups, as `device.wgmma`.

        Raises:
            DeviceError: it cannot be opened.
        """
        self.device = open_device(name)
        self.device.limit(vram)
        self.weights = _native.DeviceWeights(self.device)
        self.memory = _native.CachingAllocator(self.device)
        self._graphs = graphs
        # By identity: plans outlive the sessions of their host, as PlacedPlan holds them.
        self.plans: dict[int, _native.DevicePlan] = {}
        self._mixed = mixed
        self._wgmma = wgmma

    def can_mix(self) -> bool:
        """Whether it has kernels for mixed precision."""
        try:
            self.device.kernel(_MIXED_KERNEL)
        except DeviceUnsupportedError:
            return False
        return True

    def precision(self) -> str:
        """`mixed` where a product of any plan rounds its rows, else `float32`."""
        return "mixed" if any(plan.is_mixed for plan in list(self.plans.values())) else "float32"

    def wgmma(self) -> str:
        """How large products of mixed precision run.

        Returns:
            `used` (by warpgroups), `off`, `none` (the device, or the model, has no such products), or
            `left out` with what a trial found.
        """
        plans = list(self.plans.values())
        for plan in plans:
            for kernel, words in plan.left_out.items():
                return f"left out: {kernel}: {words}"
        if any(plan.has_wgmma for plan in plans):
            return "used"
        return "off" if self._wgmma == "off" else "none"

    def _tell_left_out(self, made: _native.DevicePlan) -> None:
        """Warns of kernels that a trial found wrong, once for each of this device."""
        for kernel, words in made.left_out.items():
            if any(kernel in plan.left_out for plan in self.plans.values()):
                continue
            record_fallback(
                "wgmma",
                "a trial found other results than those of mma.sync",
                device=self.device.name,
                kernel=kernel,
                used=kernel.replace("_wgmma", "_wide"),
                words=words,
            )

    def plan(self, plan: _native.Plan, share: PlanShare | None) -> _native.DevicePlan:
        """The plan there; made when it is first asked for."""
        made = self.plans.get(id(plan))
        if made is None:
            before = self.weights.uploaded()
            parts = share or PlanShare()
            made = _native.DevicePlan(
                plan,
                self.weights,
                self.memory,
                *parts,
                mixed=self._mixed,
                graphs=self._graphs,
                wgmma=self._wgmma != "off",
            )
            self._tell_left_out(made)
            self.plans[id(plan)] = made
            count_upload(self.device.name, before, self.weights.uploaded())
        return made

    def give_way(self) -> None:
        """Memory is short: gives back what is kept for later, graphs, and half of the single experts."""
        for plan in list(self.plans.values()):
            plan.give_way()
        self.memory.trim()

    def counters(self) -> dict[str, Any]:
        """What crossed to it since it was opened.

        Returns:
            `sent_bytes` of weights that passed through for prompts; `graphs`: of forwards that run as one
            `made` and `runs`, `launches` that these took the place of, `held` now with `held_launches`, and
            `failed` (forwards that none could be made for); and `experts`, where single ones of them
            may be there: `hits` and `misses` of those that forwards asked for, `brought`, `evicted`, `failed`
            (copies), `brought_bytes`, and `held_bytes`, which they take now.
        """
        plans = list(self.plans.values())
        experts = _sum(found for plan in plans if (found := plan.expert_counters()))
        sent = sum(plan.sent_bytes for plan in plans)
        graphs = _sum(plan.graph_counters() for plan in plans)
        return {"sent_bytes": sent, "graphs": graphs, **({"experts": experts} if experts else {})}


def _sum(counters: Iterable[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counters:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found
