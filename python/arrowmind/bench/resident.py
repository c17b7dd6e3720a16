"""What the system says that this process has of memory, file mappings included."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["peak_bytes", "resident_bytes"]

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Bytes resident now."""
    import psutil  # noqa: PLC0415  what has other figures starts without it

    resident: int = psutil.Process().memory_info().rss
    return resident


def peak_bytes() -> int:
    """The most bytes that were resident since the program began.

    Linux counts it anew for each program, but not in `ru_maxrss`: there a child begins with the peak of the
    process that started it.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):  # another system
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most << 10
