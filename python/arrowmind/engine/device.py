"""Which device runs a model (E2)."""

from __future__ import annotations

import platform

from arrowmind.errors import DeviceError
from arrowmind.observe import get_logger, record_fallback

__all__ = ["DEVICES", "resolve_device"]

# In the order in which `auto` prefers them.
DEVICES = ("cuda", "rocm", "vulkan", "mps", "cpu")
_AVAILABLE = ("cpu",)
_log = get_logger("arrowmind.engine")


def resolve_device(requested: str, *, fallback: bool = False) -> str:
    """The device to run on.

    Args:
        requested: `auto`, `cuda`, `rocm`, `vulkan`, `mps`, `cpu`, or `arm` (the CPU of an ARM machine).
        fallback: Where `requested` cannot be had, use the CPU, log it and count it, instead of an error.

    Raises:
        DeviceError: The device is unknown, or cannot be had and `fallback` is off.
    """
    if requested == "auto":
        return next(device for device in DEVICES if device in _AVAILABLE)
    if requested == "arm":
        reason = _why_not_arm()
        return "cpu" if reason is None else _give_up(requested, reason, fallback=fallback)
    if requested in _AVAILABLE:
        return requested
    if requested not in DEVICES:
        raise DeviceError(f"device {requested!r} is unknown; use one of auto, {', '.join(DEVICES)}, arm")
    return _give_up(requested, "this build has no back end for it", fallback=fallback)


def _why_not_arm() -> str | None:
    machine = platform.machine()
    return None if machine in ("aarch64", "arm64") else f"this machine is {machine}"


def _give_up(requested: str, reason: str, *, fallback: bool) -> str:
    if not fallback:
        raise DeviceError(f"device {requested!r} cannot be had: {reason}; use device='cpu' or device='auto'")
    record_fallback("device", f"{requested}: {reason}")
    return "cpu"
