"""How fast this machine reads weights: from memory into a product, and from disk."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.observe import get_logger
from arrowmind.weights.tensor import int8_tensor

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["disk_rate", "memory_rate", "probe_weights", "prompt_rate"]

_log = get_logger("arrowmind.engine")

_ROWS, _COLUMNS = 16_384, 8192  # 128 MiB: more than the caches of most machines
_PROMPT_ROWS, _PROMPT = 1024, 128
_ROUNDS = 5
_PIECE = 4 << 20
_HUGE = 2 << 20
_READ = 256 << 20
_READERS = 4


def memory_rate(threads: _native.ThreadPool) -> float:
    """Bytes of INT8 weights per second that a product with one row of activations reads; the best of five."""
    return _product_rate(threads, _ROWS, 1)


def prompt_rate(threads: _native.ThreadPool) -> float:
    """Bytes of INT8 weights per second, times rows, of a product with as many rows as a part of a prompt."""
    return _product_rate(threads, _PROMPT_ROWS, _PROMPT)


def _product_rate(threads: _native.ThreadPool, outputs: int, count: int) -> float:
    codes = np.resize(np.arange(-127, 128, dtype=np.int8), (outputs, _COLUMNS))
    described = probe_weights(codes)
    rows, out = np.ones((count, _COLUMNS), np.float32), np.empty((count, outputs), np.float32)
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        _native.linear_run(described, rows, out, threads, "int8")
        best = min(best, time.perf_counter() - started)
    return codes.nbytes * count / best


def probe_weights(codes: NDArray[np.int8]) -> dict[str, object]:
    """INT8 codes [n, k] as a matrix of scale 1, described as native products are told of it."""
    tensor = int8_tensor("probe.weight", codes, np.ones(len(codes), np.float32), activation="int8")
    return {
        "type": "int8",
        "shape": tensor.spec.shape,
        "codes": tensor.codes,
        "scales": tensor.scales,
        "zero_points": None,
        "sums": tensor.sums,
        "bias": None,
    }


def disk_rate(path: Path, most: int = _READ) -> float:
    """Bytes per second that four threads read of a file, past the page cache where that can be.

    Args:
        path: the file.
        most: bytes of it to read.

    Raises:
        OSError: it cannot be read.
    """
    size = min(most, path.stat().st_size) // _PIECE * _PIECE
    if size == 0:
        return _rate_at_once(path)
    file = _open_direct(path)
    buffers = [_huge_buffer() for _ in range(_READERS)]

    def read(reader: int) -> None:
        for place in range(reader * _PIECE, size, _READERS * _PIECE):
            os.preadv(file, [buffers[reader].data], place)

    try:
        with ThreadPoolExecutor(_READERS) as readers:
            started = time.perf_counter()
            list(readers.map(read, range(_READERS)))
            return size / (time.perf_counter() - started)
    finally:
        os.close(file)


def _huge_buffer() -> NDArray[np.uint8]:
    """Memory of a reader: there before the time runs, and in huge pages where the system has them.

    Into small ones that lie scattered a fast disk reads at a third of its speed.
    """
    memory = mmap.mmap(-1, _PIECE + _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a system without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(memory, np.uint8)
    first = -whole.ctypes.data % _HUGE
    buffer: NDArray[np.uint8] = whole[first : first + _PIECE]
    buffer.fill(0)
    return buffer


def _rate_at_once(path: Path) -> float:
    """Of a file too small to be read in pieces."""
    started = time.perf_counter()
    size = len(path.read_bytes())
    return max(1, size) / (time.perf_counter() - started)


def _open_direct(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_DIRECT", 0))
    except OSError as error:
        _log.warning("the disk is measured through the page cache", path=str(path), reason=error.strerror)
        return os.open(path, os.O_RDONLY)
