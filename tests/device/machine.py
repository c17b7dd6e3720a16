"""The devices that tests of kernels run on: those that this machine has."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from arrowmind import _native

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


KERNEL_DEVICES: dict[str, Callable[[Path], _native.Device]] = {
    "cpu": lambda _folder: open_or_skip("cpu"),
    "vulkan": lambda _folder: open_or_skip("vulkan"),
}
"""What every kernel is tested on: opens a device, given a folder of its own to put a back end in."""
