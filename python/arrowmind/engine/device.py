"""Which device runs a model (E2)."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from arrowmind.engine.device_probe import DEVICES, probe
from arrowmind.errors import DeviceError, DeviceUnsupportedError
from arrowmind.observe import record_fallback

__all__ = ["DEVICES", "describe_device", "refuse_device", "refuse_mixed", "resolve_device"]


def resolve_device(requested: str, *, fallback: bool = False) -> str:
    """The device to run on, `cpu` or a kind with an index such as `cuda:0`.

    Args:
        requested: `auto`, `cuda`, `rocm`, `vulkan`, `mps`, `cpu`, any of the last five with an index such as
            `cuda:1`, or `arm` (the CPU of an ARM machine). `auto` takes the first device with memory of its
            own (an integrated one is no faster than the CPU beside it), or of Apple; else the CPU.
        fallback: Where `requested` cannot be had, use the CPU, log it and count it, instead of an error.

    Raises:
        DeviceError: The device is unknown, or cannot be had and `fallback` is off.
    """
    if requested == "auto":
        return _best()
    if requested == "arm":
        reason = _why_not_arm()
        return "cpu" if reason is None else _give_up(requested, reason, fallback=fallback)
    kind, index = _parsed(requested)
    refusal = _refusal(kind, index)
    if refusal is not None:
        return _give_up(requested, *refusal, fallback=fallback)
    return _full_name(kind, index)


def refuse_device(device: str, reason: str, *, falls_back: bool) -> None:
    """Tells that the CPU serves for good.

    Raises:
        DeviceUnsupportedError: It may not.
    """
    if not falls_back:
        raise DeviceUnsupportedError(f"device {device!r} cannot be had: {reason}; use device='cpu'")
    record_fallback("device", reason, device=device, used="cpu")


def refuse_mixed(device: str, *, falls_back: bool) -> None:
    """Tells that `device.precision=mixed` is asked of a device that computes in float32 alone.

    Raises:
        DeviceUnsupportedError: It may not.
    """
    if not falls_back:
        raise DeviceUnsupportedError(
            f"device {device!r} has no kernels for device.precision=mixed; use device.precision=float32"
        )
    record_fallback("precision", "the device has no kernels for mixed", device=device, used="float32")


def describe_device(device: str) -> dict[str, Any]:
    """Name, driver, architecture and memory of a device that `resolve_device` gave; empty if it is gone."""
    kind, index = _parsed(device)
    devices = probe(kind).devices
    return asdict(devices[index]) if index < len(devices) else {}


def _best() -> str:
    for kind in DEVICES[: DEVICES.index("cpu")]:
        if kind == "vulkan" and not _shows_graphics():
            continue
        for index, device in enumerate(probe(kind).devices):
            if not device.is_software and (kind == "mps" or not device.shares_host_memory):
                return _full_name(kind, index)
    return "cpu"


def _shows_graphics() -> bool:
    """Whether the system has a GPU: without one Vulkan would load drivers for the CPU, of some 60 MB."""
    if sys.platform != "linux":
        return True
    nodes = ("dri/renderD*", "nvidia[0-9]*", "kfd", "dxg", "mali*")
    return any(next(Path("/dev").glob(node), None) is not None for node in nodes)


def _parsed(requested: str) -> tuple[str, int]:
    match = re.fullmatch(r"([a-z]+)(?::([0-9]{1,4}))?", requested)
    if match is None or match[1] not in DEVICES:
        raise DeviceError(
            f"device {requested!r} is unknown; use one of auto, {', '.join(DEVICES)}, arm, or one with an "
            "index, such as cuda:1"
        )
    return match[1], int(match[2] or 0)


def _full_name(kind: str, index: int) -> str:
    return kind if kind == "cpu" else f"{kind}:{index}"


def _refusal(kind: str, index: int) -> tuple[str, str] | None:
    """Why a model cannot run there and what the driver said; None where it can."""
    if kind == "cpu" and index == 0:
        return None
    found = probe(kind)
    if not found.devices:
        return found.reason, f"{found.words}; {found.remedy}"
    if index >= len(found.devices):
        last = len(found.devices) - 1
        return f"there is no device {index} of this kind", f"the last one is {kind}:{last}"
    return None


def _why_not_arm() -> str | None:
    machine = platform.machine()
    return None if machine in ("aarch64", "arm64") else f"this machine is {machine}"


def _give_up(requested: str, reason: str, words: str = "", *, fallback: bool) -> str:
    if not fallback:
        told = f" ({words})" if words else ""
        raise DeviceError(
            f"device {requested!r} cannot be had: {reason}{told}; use device='cpu' or device='auto'"
        )
    record_fallback("device", f"{requested}: {reason}", used="cpu", words=words)
    return "cpu"
