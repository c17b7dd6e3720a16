"""The back ends that tests use: built by `make build` into build/test-backends."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

BACKENDS = Path(__file__).parents[2] / "build" / "test-backends"
_LIVE = ("devices", "allocations", "bytes", "streams", "events", "pinned", "registrations", "graphs")
_REPORT = ("calls", *_LIVE, "launches", "graph_runs", "stale")


class Fake:
    """A device that fails where it is told to, installed as the back end of `kind` in `folder`."""

    def __init__(self, folder: Path, kind: str = "cuda") -> None:
        self.folder = folder
        self._library = ctypes.CDLL(str(install("fake", folder, kind)))

    def set(self, **settings: int) -> None:
        """Begins anew: calls are counted from 0; see backends/fake.cc for the settings."""
        text = ",".join(f"{name}={value}" for name, value in settings.items())
        self._library.arrowmind_fake_set(text.encode())

    def report(self) -> dict[str, int]:
        found = (ctypes.c_int64 * len(_REPORT))()
        self._library.arrowmind_fake_report(found)
        return dict(zip(_REPORT, found, strict=True))

    def work(self) -> tuple[int, int]:
        """Launches since the last set(), and how often the host waited for a stream."""
        found = (ctypes.c_int64 * 2)()
        self._library.arrowmind_fake_work(found)
        return found[0], found[1]

    def live(self) -> dict[str, int]:
        """What was taken and not given back yet."""
        return {name: count for name, count in self.report().items() if name in _LIVE and count}


def install(backend: str, folder: Path, kind: str = "cuda") -> Path:
    """Copies a back end to where a registry of `folder` looks for that of `kind`."""
    source = BACKENDS / f"{backend}.so"
    assert source.is_file(), f"{source} is not there; `make build` builds it"
    target = folder / f"arrowmind_device_{kind}.so"
    shutil.copy(source, target)
    return target
