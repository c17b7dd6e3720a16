"""Tells metrics how much memory of devices is taken, and whether they serve, whenever somebody reads them."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from arrowmind.observe import metrics

if TYPE_CHECKING:
    from arrowmind.engine.on_device import DeviceHost
    from arrowmind.engine.opened_device import OpenedDevice

__all__ = ["count_upload", "describe_opened", "describe_upload", "follow_host"]

# What a host tells of itself, and whether it is of the whole device: of the same for all hosts.
_PARTS = {
    "total_bytes": ("total", True),
    "free_bytes": ("free", True),
    "weight_bytes": ("weights", False),
    "buffer_bytes": ("buffers", False),
    "cache_bytes": ("caches", False),
}

_lock = threading.Lock()
_hosts: weakref.WeakSet[DeviceHost] = weakref.WeakSet()
_told: set[str] = set()


def follow_host(host: DeviceHost) -> None:
    """Tells of a host for as long as it lives."""
    with _lock:
        if not _told:
            metrics.add_source(_tell)
        _told.add(host.name)
        _hosts.add(host)


def describe_upload(told: dict[str, float]) -> dict[str, float]:
    """How weights came to a device.

    Returns:
        `bytes`; `seconds` of all, `read_seconds` and `copy_seconds` of them in which pieces were read and
        copied; `overlap`: the share of the shorter of the two that went on beside the longer.
    """
    names = ("bytes", "seconds", "read_seconds", "copy_seconds")
    shorter = min(told["read_seconds"], told["copy_seconds"])
    both = told["read_seconds"] + told["copy_seconds"] - told["seconds"]
    overlap = min(1.0, max(0.0, both / shorter)) if shorter > 0 else 0.0
    return {**{name: told[name] for name in names}, "overlap": overlap}


def describe_opened(opened: OpenedDevice) -> dict[str, Any]:
    """What an engine has on a device that is open.

    Returns:
        `precision` (`mixed` where products round their rows, see `device.precision`), `wgmma` (see
        `OpenedDevice.wgmma`), `taken_bytes`, of which `weight_bytes` and `buffer_bytes`, `upload` (how its
        weights came there, see `describe_upload`), and what `OpenedDevice.counters` has.
    """
    return {
        "precision": opened.precision(),
        "wgmma": opened.wgmma(),
        "taken_bytes": opened.device.taken_bytes,
        "weight_bytes": opened.weights.bytes,
        "upload": describe_upload(opened.weights.uploaded()),
        "buffer_bytes": opened.memory.counters()["reserved_bytes"],
        **opened.counters(),
    }


def count_upload(device: str, before: dict[str, float], after: dict[str, float]) -> None:
    """Tells metrics what an upload added."""
    added = {name: after[name] - before[name] for name in after}
    plain = added["bytes"] - added["ring_bytes"] - added["registered_bytes"]
    ways = {"pinned": added["ring_bytes"], "mapping": added["registered_bytes"], "plain": plain}
    for how, size in ways.items():
        metrics.device_upload_bytes.add(size, device=device, how=how)
    for what, name in (("all", "seconds"), ("read", "read_seconds"), ("copied", "copy_seconds")):
        metrics.device_upload_seconds.add(added[name], device=device, what=what)


def _total(counters: list[dict[str, int]], name: str) -> int:
    return sum(one.get(name, 0) for one in counters)


def _tell() -> None:
    with _lock:
        hosts, names = list(_hosts), sorted(_told)
    for name in names:
        found = [host.info() for host in hosts if host.name == name]
        metrics.device_serves.set(float(any(one["serves"] for one in found)), device=name)
        there = sum(one.get("blocks", 0) for one in found)
        metrics.device_blocks.set(there, device=name, where="device")
        metrics.device_blocks.set(
            sum(one.get("of_blocks", 0) for one in found) - there, device=name, where="cpu"
        )
        metrics.device_sent.set(sum(one.get("sent_bytes", 0) for one in found), device=name, what="prompts")
        experts = [one.get("experts", {}) for one in found]
        metrics.device_sent.set(_total(experts, "brought_bytes"), device=name, what="experts")
        for what in ("hits", "misses", "brought", "evicted", "failed"):
            metrics.device_experts.set(_total(experts, what), device=name, what=what)
        graphs = [one.get("graphs", {}) for one in found]
        for what in ("made", "runs", "held", "launches", "failed"):
            metrics.device_graphs.set(_total(graphs, what), device=name, what=what)
        for key, (what, is_whole) in _PARTS.items():
            sizes = [one.get(key, 0) for one in found]
            size = max(sizes, default=0) if is_whole else sum(sizes)
            metrics.device_memory.set(size, device=name, what=what)
