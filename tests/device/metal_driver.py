"""The back end of Metal over fibers (on_host/metal): fails where it is told to, and counts what lives."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import pytest

from tests.device.fake import BACKENDS, install

if TYPE_CHECKING:
    from pathlib import Path

_REPORT = ("calls", "buffers", "functions", "queues", "signals", "batches")


class MetalDriver:
    """The driver of the back end that is installed in `folder` as that of `mps`."""

    def __init__(self, folder: Path) -> None:
        if not (BACKENDS / "metal_on_host.so").is_file():
            pytest.skip("Metal's kernels are translated where GCC, glslangValidator and spirv-cross are")
        install("metal_on_host", folder, "mps")
        self._library = ctypes.CDLL(str(BACKENDS / "metal_on_host_driver.so"))
        self.set()

    def set(self, **settings: int) -> None:
        """Begins anew: calls are counted from 0."""
        text = ",".join(f"{name}={value}" for name, value in settings.items())
        self._library.arrowmind_driver_set(text.encode())

    def report(self) -> dict[str, int]:
        found = (ctypes.c_int64 * len(_REPORT))()
        self._library.arrowmind_driver_report(found)
        return dict(zip(_REPORT, found, strict=True))

    def live(self) -> dict[str, int]:
        """What was taken and not given back yet."""
        return {name: count for name, count in self.report().items() if name != "calls" and count}
