"""How fast the hash tree of a weight file is computed and checked, and what that costs on opening a model.

    python benchmarks/bench_hash_tree.py [MODEL]

The first part hashes 64 MiB in chunks of 64 KiB on one core. With a model folder, the second opens it and
encodes one text, in a new process for each of `weights.verify` = off, first_touch, full, in turn; medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import numpy as np

from arrowmind import _native

ROUNDS = 15
FIRST = """
import sys, time
from arrowmind import ArrowEngine
started = time.perf_counter()
engine = ArrowEngine(sys.argv[1], threads=2)
opened = time.perf_counter()
engine.encode("The quick brown fox jumps over the lazy dog.")
print(opened - started, time.perf_counter() - opened)
"""


def hashing_speed() -> float:
    """GB/s of the implementation that this machine chooses."""
    rows = np.random.default_rng(0).integers(0, 256, (1024, 65536), dtype=np.uint8)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        _native.sha256_rows(rows, 0)
        times.append(time.perf_counter() - started)
    return rows.nbytes / min(times) / 1e9


def opening_times(model: str) -> dict[str, tuple[float, float]]:
    """Median seconds of opening and of the first embedding, by `weights.verify`."""
    found: dict[str, list[list[float]]] = {mode: [] for mode in ("off", "first_touch", "full")}
    for _ in range(ROUNDS):
        for mode, times in found.items():
            env = {**os.environ, "ARROWMIND_WEIGHTS_VERIFY": mode}
            command = [sys.executable, "-c", FIRST, model]
            result = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            times.append([float(text) for text in result.stdout.split()])
    return {mode: tuple(map(statistics.median, zip(*times, strict=True))) for mode, times in found.items()}


def main() -> None:
    """Prints both."""
    print(
        f"{_native.sha256_implementation()}: {hashing_speed():.2f} GB/s on one core of {_native.cpu_brand()}"
    )
    if len(sys.argv) > 1:
        for mode, (opening, first) in opening_times(sys.argv[1]).items():
            print(f"{mode:12} opening {opening * 1e3:6.1f} ms, first embedding {first * 1e3:6.1f} ms")


if __name__ == "__main__":
    main()
