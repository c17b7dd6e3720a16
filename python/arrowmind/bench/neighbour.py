"""A busy neighbour: another process that keeps one processor to itself while something is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["BusyNeighbour"]

_SPIN = """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[1])})
print("busy", flush=True)
while os.getppid() == int(sys.argv[2]):
    for _ in range(1000000):
        pass
"""


class BusyNeighbour:
    """Runs from `with` to its end; ends by itself should the parent die."""

    def __enter__(self) -> BusyNeighbour:
        cpu = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SPIN, str(cpu), str(os.getpid())], stdout=subprocess.PIPE
        )
        if self._process.stdout is not None:
            self._process.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
