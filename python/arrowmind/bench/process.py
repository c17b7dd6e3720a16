"""The parent's side of a worker: start it, ask it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind.errors import OptimizationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from arrowmind.bench.contenders.base import Job

# Longest silence of a contender. Preparing a model takes some minutes; beyond this it hangs.
_PATIENCE_SECONDS = 900.0
_COLD_PATIENCE_SECONDS = 120.0
_CLOSE_SECONDS = 10.0
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_COLD_TAIL = """
import os
for line in open("/proc/self/status") if os.path.exists("/proc/self/status") else ():
    if line.startswith("VmRSS"):
        print("RSS", int(line.split()[1]) * 1024)
"""


class WorkerError(OptimizationError):
    """A contender failed; the others go on."""


class WorkerProcess:
    """A running worker, such as `arrowmind.bench.worker`; a context manager."""

    def __init__(
        self,
        job: Job,
        python: str = sys.executable,
        env: Mapping[str, str] | None = None,
        patience: float = _PATIENCE_SECONDS,
        module: str = "arrowmind.bench.worker",
    ) -> None:
        raw = {
            "name": job.name,
            "source": str(job.source),
            "cache": str(job.cache),
            "threads": job.threads,
            "model": None if job.model is None else str(job.model),
        }
        self.job = job
        self._patience = patience
        self._errors = job.cache.parent / f"{job.name}.log"
        self._errors.parent.mkdir(parents=True, exist_ok=True)
        with self._errors.open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-m", module, json.dumps(raw)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(job.threads, env),
            )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            WorkerError: The contender raised, died, or gave no answer in time, and was ended; the message
                says where its log is.
        """
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        if pipe_in is None or pipe_out is None or pipe_in.closed:
            raise WorkerError(f"[bench] {self.job.name} was closed")
        try:
            pipe_in.write(json.dumps({"do": do, **arguments}) + "\n")
            pipe_in.flush()
        except BrokenPipeError:
            pass  # it ended; the empty answer below says so
        began = time.monotonic()
        watch = threading.Timer(self._patience, self._process.kill)  # the read below then ends
        watch.start()
        try:
            line = pipe_out.readline()
        finally:
            watch.cancel()
        if not line:
            late = time.monotonic() - began >= self._patience
            what = f"gave no answer for {self._patience:g} s" if late else "ended"
            raise WorkerError(f"[bench] {self.job.name} {what} during {do!r}: see {self._errors}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(
                f"[bench] {self.job.name} failed at {do!r}: {reply['error']} (log: {self._errors})"
            )
        return reply

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # a request that a dead contender did not read
                self._process.stdin.close()
        try:
            self._process.wait(timeout=_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def environment(threads: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a measured process: this package importable, `threads` for every library."""
    env = dict(os.environ)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), env.get("PYTHONPATH")]))
    env.update({name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")})
    env["OPENBLAS_NUM_THREADS"] = "1"  # NumPy only pools; its threads would fight with the contender's
    env.update({"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"})
    env.update(extra or {})
    return env


def cold_start(script: str, text: str, threads: int, python: str = sys.executable) -> dict[str, float]:
    """Run a few lines in a fresh process; return its seconds and the resident bytes at its end."""
    source = f"TEXT = {text!r}\n{script}{_COLD_TAIL}"
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [python, "-c", source],
            capture_output=True,
            text=True,
            env=environment(threads),
            timeout=_COLD_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkerError(f"[bench] cold start gave no answer for {error.timeout:g} s") from error
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise WorkerError(f"[bench] cold start failed: {done.stderr.strip()[-500:]}")
    resident = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("RSS ")]
    return {"seconds": seconds, "resident": resident[0] if resident else float("nan")}
