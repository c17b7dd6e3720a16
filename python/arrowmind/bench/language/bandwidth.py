"""What this machine reads from memory per second, with plain loads: the bound of decoding a single text."""

from __future__ import annotations

import threading
import time

import numpy as np

__all__ = ["read_bandwidth"]

_BYTES = 256 << 20  # for each thread: more than any cache holds
_ROUNDS = 3


def read_bandwidth(threads: int) -> float:
    """Bytes per second that so many threads read together; the best of three."""
    buffers = [np.ones(_BYTES // 8) for _ in range(threads)]
    return threads * _BYTES / min(_seconds(buffers) for _ in range(_ROUNDS))


def _seconds(buffers: list[np.ndarray[tuple[int], np.dtype[np.float64]]]) -> float:
    readers = [threading.Thread(target=np.maximum.reduce, args=(buffer,)) for buffer in buffers]
    started = time.perf_counter()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return time.perf_counter() - started
