"""A file on its way to a device, and the two things that bound it: the disk and the bus."""

from __future__ import annotations

import os
import statistics
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["measure_transfer"]

_ROUNDS = 3
_BLOCK = 16 << 20


def measure_transfer(device: _native.Device, size: int, folder: Path | None = None) -> dict[str, float]:
    """Bytes per second of a file that is not in the page cache.

    Args:
        device: One with memory of its own.
        size: Bytes of the file, which is written first.
        folder: Where to write it; None takes that of temporary files.

    Returns:
        `disk` (reading alone), `bus` (copying pinned memory alone), `both`, `share` (of the slower one that
        both together reach) and `size`. Medians of three rounds, the three in turn.

    Raises:
        StorageError: The file cannot be written.
        DeviceError: The device failed.
    """
    sides = {"disk": {"copies": False}, "bus": {"reads": False}, "both": {}}
    rates: dict[str, list[float]] = {side: [] for side in sides}
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="arrowmind-transfer-") as file:
            for block in _blocks(size):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            for _ in range(_ROUNDS):
                for side, options in sides.items():
                    _forget(file.fileno())
                    told = _native.time_upload(device, os.fsencode(file.name), size, **options)
                    rates[side].append(size / told["seconds"])
    except OSError as error:
        raise StorageError(f"no file of {size} bytes to measure with: {error}; set TMPDIR") from error
    found = {side: statistics.median(some) for side, some in rates.items()}
    slower = [min(disk, bus) for disk, bus in zip(rates["disk"], rates["bus"], strict=True)]
    shares = [both / bound for both, bound in zip(rates["both"], slower, strict=True)]
    return {**found, "share": statistics.median(shares), "size": size}


def _blocks(size: int) -> Iterator[bytes]:
    """Numbers that no disk can make fewer."""
    rng = np.random.default_rng(1)
    for begin in range(0, size, _BLOCK):
        yield rng.bytes(min(_BLOCK, size - begin))


def _forget(descriptor: int) -> None:
    """Nothing of the file stays in memory, where the system takes the advice."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
