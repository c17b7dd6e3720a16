"""The kernels one by one: runs the C++ benchmark, which checks every answer before it times it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.errors import InvalidArgumentError, OptimizationError
from arrowmind.observe import no_progress

if TYPE_CHECKING:
    from arrowmind.observe import Progress

__all__ = ["default_program", "measure_operators"]

_CHECKOUT = Path(__file__).resolve().parents[3]


def default_program() -> Path | None:
    """The newest `bench_kernels` built in this checkout; None if there is none."""
    found = list(_CHECKOUT.glob("build/*/benchmarks/kernels/bench_kernels"))
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def measure_operators(
    program: Path, threads: int, seconds: float = 0.1, progress: Progress = no_progress
) -> dict[str, Any]:
    """Time every kernel of every op on real shapes.

    Args:
        program: The executable `bench_kernels`.
        threads: Most threads to try.
        seconds: Time for each figure.
        progress: Told of each figure.

    Returns:
        `limits` of the machine, measured (Gop/s, GB/s), and `results`: op, kernel, shape, threads, best_s,
        median_s, gop_s, gb_s, limit, limit_value, share; of raced widths (ops `gemv` and `gemm`) also
        width and relative_to_int8.

    Raises:
        InvalidArgumentError: There is no such program.
        OptimizationError: A kernel gave a wrong answer, or the program failed.
    """
    if not program.is_file():
        raise InvalidArgumentError(f"{program} is not there: build it with cmake -DARROWMIND_BENCHMARKS=ON")
    with tempfile.TemporaryDirectory(prefix="arrowmind-") as folder:
        out = Path(folder) / "kernels.json"
        words = [str(program), "--threads", str(threads), "--seconds", str(seconds), "--json", str(out)]
        with (
            (Path(folder) / "errors").open("w+") as errors,
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True) as running,
        ):
            for figures, _ in enumerate(running.stdout or ()):
                progress(figures, 0, "kernels")
            if running.wait() != 0:
                errors.seek(0)
                raise OptimizationError(f"[bench] {program.name} failed: {errors.read().strip()[-500:]}")
        measured: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return measured
