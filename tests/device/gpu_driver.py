"""The driver of tests for csrc/device/gpu: its device is made of fibers, and fails where it is told to."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from tests.device.fake import BACKENDS, install

if TYPE_CHECKING:
    from pathlib import Path

_LIVE = (
    *("contexts", "memory", "pinned", "registered", "streams", "events", "modules"),
    *("graphs", "ready_graphs"),
)
_REPORT = ("calls", *_LIVE, "launches", "graph_launches")


class Driver:
    """The driver that `backend` opens, which is installed in `folder`."""

    def __init__(self, folder: Path, backend: str = "gpu_on_host") -> None:
        self.kind = "rocm" if backend.startswith("hip") else "cuda"
        install(backend, folder, self.kind)
        self._library = ctypes.CDLL(str(BACKENDS / f"{backend}_driver.so"))
        self.set()

    def set(self, **settings: int) -> None:
        """Begins anew: calls are counted from 0; see backends/on_host/driver.cc for the settings."""
        text = ",".join(f"{name}={value}" for name, value in settings.items())
        self._library.arrowmind_driver_set(text.encode())

    def report(self) -> dict[str, int]:
        found = (ctypes.c_int64 * len(_REPORT))()
        self._library.arrowmind_driver_report(found)
        return dict(zip(_REPORT, found, strict=True))

    def live(self) -> dict[str, int]:
        """What was taken and not given back yet."""
        return {name: count for name, count in self.report().items() if name in _LIVE and count}

    def stream(self) -> int:
        """That of the last launch."""
        found = self._library.arrowmind_driver_stream
        found.restype = ctypes.c_uint64
        return int(found())
