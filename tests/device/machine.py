"""The devices that tests of kernels run on: those that this machine has."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from arrowmind import _native
from tests.device.fake import BACKENDS, install

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Mesa's driver that computes on the CPU asks for it, and complains where there is none.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())


def open_or_skip(kind: str, folder: str = "") -> _native.Device:
    """The first device of a kind, of the back ends in a folder; where there is none, skips and says why."""
    registry = _native.DeviceRegistry(folder)
    found = registry.probe(kind)
    if found["availability"] != "usable":
        pytest.skip(f"no {kind} device ({found['availability']}): {found['words']}")
    return registry.open(kind)


def open_on_host(backend: str, folder: Path) -> _native.Device:
    """A back end of GPUs whose device is made of fibers (backends/on_host)."""
    kind = {"gpu_on_host": "cuda", "hip_on_host": "rocm", "metal_on_host": "mps"}[backend]
    if kind == "mps" and not (BACKENDS / f"{backend}.so").is_file():
        pytest.skip("Metal's kernels are translated where GCC, glslangValidator and spirv-cross are")
    install(backend, folder, kind)
    return _native.DeviceRegistry(str(folder)).open(kind)


def order_of_fibers(device: str) -> Callable[[bytes], None] | None:
    """What tells a device of `KERNEL_DEVICES` in which order its fibers run; None where it has none."""
    backend = {"cuda on the host": "gpu_on_host", "metal on the host": "metal_on_host"}.get(device)
    if backend is None:
        return None
    return ctypes.CDLL(str(BACKENDS / f"{backend}_driver.so")).arrowmind_driver_set


OWN_KINDS = ("vulkan", "mps") if sys.platform == "darwin" else ("vulkan",)
"""Kinds with kernels of their own that this system may have."""
KERNEL_DEVICES: dict[str, Callable[[Path], _native.Device]] = {
    "cpu": lambda _folder: open_or_skip("cpu"),
    "vulkan": lambda _folder: open_or_skip("vulkan"),
    "cuda on the host": lambda folder: open_on_host("gpu_on_host", folder),
    "metal on the host": lambda folder: open_on_host("metal_on_host", folder),
}
"""What every kernel is tested on: opens a device, given a folder of its own to put a back end in."""
if sys.platform == "darwin":
    KERNEL_DEVICES["mps"] = lambda _folder: open_or_skip("mps")
