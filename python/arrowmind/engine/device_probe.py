"""What devices there are, and why one is not to be had."""

from __future__ import annotations

import os
from typing import Any

from arrowmind import _native
from arrowmind.config.sources import BACKENDS_VARIABLE
from arrowmind.frozen import dataclass

__all__ = ["BACKENDS_VARIABLE", "DEVICES", "FoundDevice", "Probe", "open_device", "probe"]

DEVICES: tuple[str, ...] = _native.DEVICE_KINDS
"""Kinds of devices, in the order in which `auto` prefers them."""

# Why a kind cannot be used, and what to do about it.
_REASONS = {
    "not-built": ("this build has no back end for it", "the cpu runs every model"),
    "broken": ("its back end cannot be used", "install ArrowMind again, all of it from one build"),
    "no-driver": ("its driver is not installed", "install the driver of the device"),
    "no-device": (
        "its driver knows of no device",
        "see that the device is there and, in a container, handed through (such as `docker run --gpus all`)",
    ),
    "driver-too-old": ("its driver is too old", "update the driver of the device"),
    "probe-failed": (
        "its driver does not answer as it should",
        "load the driver again; the system's log says more",
    ),
}


@dataclass(frozen=True)
class FoundDevice:
    """One device.

    Attributes:
        name: Of the product.
        driver: Version of its driver, empty where it has none.
        architecture: Such as `sm_90`, empty where it has none.
        total_bytes: Its memory.
        shares_host_memory: Whether its memory is that of the machine.
        is_software: Whether its driver computes on the CPU.
    """

    name: str
    driver: str
    architecture: str
    total_bytes: int
    shares_host_memory: bool
    is_software: bool = False


@dataclass(frozen=True)
class Probe:
    """What was found of one kind of device.

    Attributes:
        kind: One of `DEVICES`.
        devices: Those that can be used, by index.
        reason: Why there are none, empty where there are.
        words: What back end or driver said about it.
        remedy: What to do about it.
        is_built: Whether there is a back end.
    """

    kind: str
    devices: tuple[FoundDevice, ...]
    reason: str = ""
    words: str = ""
    remedy: str = ""
    is_built: bool = True


def probe(kind: str) -> Probe:
    """Looks for devices of one kind, now. A back end that is broken is a reason, not an error.

    Raises:
        InvalidArgumentError: The kind is unknown.
    """
    found = _registry(os.environ.get(BACKENDS_VARIABLE, "")).probe(kind)
    availability = found["availability"]
    if availability == "usable":
        return Probe(kind, tuple(_device(row) for row in found["devices"]))
    reason, remedy = _REASONS[availability]
    return Probe(kind, (), reason, found["words"], remedy, is_built=availability != "not-built")


def open_device(name: str) -> _native.Device:
    """The device of a name that `resolve_device` gave, such as `cuda:0`.

    Raises:
        DeviceError: It cannot be opened.
    """
    kind, _, index = name.partition(":")
    return _registry(os.environ.get(BACKENDS_VARIABLE, "")).open(kind, int(index or 0))


_registries: dict[str, _native.DeviceRegistry] = {}


def _registry(folder: str) -> _native.DeviceRegistry:
    return _registries.setdefault(folder, _native.DeviceRegistry(folder))


def _device(row: dict[str, Any]) -> FoundDevice:
    return FoundDevice(
        row["name"],
        row["driver"],
        row["architecture"],
        row["total_bytes"],
        row["shares_host_memory"],
        row["is_software"],
    )
