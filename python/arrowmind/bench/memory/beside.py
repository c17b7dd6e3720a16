"""How long a recall waits while another process consolidates the same store.

`arrowmind consolidate` works in processes of its own, as anybody would start it. Every other two seconds they
are stopped: recalls beside it and recalls alone ask the same store, and what a machine does meanwhile for
others is in both. Recalls before it, of a store in which nothing is cold, are told apart.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from arrowmind.bench.statistics import latency
from arrowmind.bench.targets import Verdict
from arrowmind.errors import ConsolidationError
from arrowmind.memory import MemoryStore, RecallSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from arrowmind.bench.memory.conversations import Conversation
    from arrowmind.memory import TextEncoder
    from arrowmind.observe import Progress

    Times = list[tuple[float, float]]

__all__ = ["SETTINGS", "judge_beside", "measure_beside"]

SETTINGS = """consolidation:
  min_access: 0
  min_age_hours: 0
  cosine: 0.5
  cosine_in_time: 0.15
"""
"""All turns are consolidated, as in the measurements of what that frees."""

_WARMING, _ALONE, _BEST = 50, 1000, 10
_MOST_SECONDS = 120.0
_ENDING_SECONDS = 60.0
_SLICE_SECONDS = 2.0
_RISE = 10.0


def measure_beside(
    conversations: Sequence[Conversation],
    encoder: TextEncoder,
    consolidating: Callable[[Path, Path], Sequence[str]],
    progress: Progress,
) -> dict[str, Any]:
    """Asks a store that holds all conversations, alone and beside a consolidation.

    Args:
        conversations: what is remembered and asked.
        encoder: of the store.
        consolidating: the command line that consolidates, of the store and a file of settings.
        progress: called with (steps done, all of them, "steps").

    Returns:
        JSON values: latencies ``before``, ``alone`` and ``beside``, and the milliseconds that the threads of
        a recall waited for a processor, where the system tells; ``rise`` of the p99 in percent from ``alone``
        to ``beside``; ``finished``, whether the consolidation ended by itself.

    Raises:
        ConsolidationError: the consolidation failed.
    """
    questions = cycle([question.text for each in conversations for question in each.questions])
    with tempfile.TemporaryDirectory(prefix="arrowmind-") as name:
        folder, settings = Path(name) / "memory", Path(name) / "settings.yaml"
        settings.write_text(SETTINGS, encoding="utf-8")
        with MemoryStore(folder, encoder, recall_settings=RecallSettings()) as store:
            for each in conversations:
                moments = [turn.moment for turn in each.turns]
                store.remember_many([turn.text for turn in each.turns], timestamp=moments)
            store.flush()
            for _ in range(_WARMING):
                store.recall(next(questions), _BEST)
            progress(1, 4, "steps")
            asked = _Asked(store, questions)
            before = asked.times(lambda done: done < _ALONE)
            progress(2, 4, "steps")
            alone, beside, finished = _in_turns(asked, consolidating(folder, settings))
            progress(3, 4, "steps")
            alone += asked.times(lambda done: done < _ALONE)
            progress(4, 4, "steps")
    told = {"before": before, "alone": alone, "beside": beside}
    measured: dict[str, Any] = {name: _told(times) for name, times in told.items()}
    measured["finished"] = finished
    measured["rise"] = 100 * (measured["beside"]["p99_ms"] / measured["alone"]["p99_ms"] - 1)
    return measured


class _Asked:
    """Recalls, one after the other."""

    def __init__(self, store: MemoryStore, questions: Iterator[str]) -> None:
        self._store, self._questions = store, questions

    def times(self, go_on: Callable[[int], bool]) -> list[tuple[float, float]]:
        """Seconds that each recall took, and that its threads waited for a processor meanwhile."""
        found: list[tuple[float, float]] = []
        while go_on(len(found)):
            waited, began = _waited(), time.perf_counter()
            self._store.recall(next(self._questions), _BEST)
            took = time.perf_counter() - began
            found.append((took, _waited() - waited))
        return found


def _in_turns(asked: _Asked, command: Sequence[str]) -> tuple[Times, Times, bool]:
    """Recalls while the command is stopped, and while it runs; and whether it ended by itself."""
    stopped: Times = []
    running: Times = []
    ends = time.monotonic() + _MOST_SECONDS
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as work:
        try:
            # One recall at least, however soon the other process ends.
            while not running or (work.poll() is None and time.monotonic() < ends):
                running += asked.times(_slice_of(work))
                with _stopped(work.pid) as is_stopped:
                    if is_stopped:
                        stopped += asked.times(_slice_of(work))
            finished = work.poll() is not None
        finally:
            if work.poll() is None:
                work.terminate()
        _, said = work.communicate(timeout=_ENDING_SECONDS)
    if finished and work.returncode:
        raise ConsolidationError(f"consolidation ended with {work.returncode}: {said.strip()}")
    return stopped, running, finished


def _slice_of(work: subprocess.Popen[str]) -> Callable[[int], bool]:
    ends = time.monotonic() + _SLICE_SECONDS
    return lambda done: not done or (work.poll() is None and time.monotonic() < ends)


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[bool]:
    """Stops a process and what it has started; yields whether any was there."""
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        found = [process, *process.children(recursive=True)]
    for each in found:
        with contextlib.suppress(psutil.Error):
            each.suspend()
    try:
        yield bool(found)
    finally:
        for each in found:
            with contextlib.suppress(psutil.Error):
                each.resume()


def _waited() -> float:
    """Seconds that threads of this process were ready and had no processor; 0 where nobody tells."""
    total = 0
    try:
        for thread in Path("/proc/self/task").iterdir():
            total += int((thread / "schedstat").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return total / 1e9


def _told(times: Sequence[tuple[float, float]]) -> dict[str, float]:
    took, waited = zip(*times, strict=True)
    waits = latency(waited)
    return {
        "recalls": len(times),
        **latency(took),
        "waited_p50_ms": waits["p50_ms"],
        "waited_p99_ms": waits["p99_ms"],
    }


def judge_beside(measured: Mapping[str, Any]) -> list[Verdict]:
    """Holds the rise against the number."""
    alone, beside, rise = measured["alone"]["p99_ms"], measured["beside"]["p99_ms"], measured["rise"]
    said = f"{rise:+.0f} % ({alone:.1f} -> {beside:.1f} ms)"
    return [Verdict("recall beside a consolidation, p99", f"<= +{_RISE:g} %", said, rise <= _RISE)]
