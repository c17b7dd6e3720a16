"""Drivers of devices that the system has, whether or not ArrowMind has a back end for them."""

from __future__ import annotations

import platform
from pathlib import Path

__all__ = ["driver_of"]

_NVIDIA = Path("/proc/driver/nvidia/version")
_AMD = (Path("/sys/module/amdgpu/version"), Path("/dev/kfd"))
_VULKAN = (Path("/usr/share/vulkan/icd.d"), Path("/etc/vulkan/icd.d"))
_LONGEST = 120


def driver_of(kind: str) -> str:
    """What the system says of the driver for a kind of device; empty where there is no trace of one."""
    if kind == "cuda":
        return _first_line(_NVIDIA)
    if kind == "rocm":
        present = [path for path in _AMD if path.exists()]
        return (_first_line(present[0]) or f"{present[0]} is there") if present else ""
    if kind == "vulkan":
        return ", ".join(sorted(path.stem for folder in _VULKAN for path in folder.glob("*.json")))[:_LONGEST]
    return (
        f"Metal of macOS {platform.mac_ver()[0]}" if kind == "mps" and platform.system() == "Darwin" else ""
    )


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return " ".join(file.readline(1000).split())[:_LONGEST]
    except OSError:
        return ""
