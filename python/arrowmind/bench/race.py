"""Contenders side by side: each in its own process, round after round in turn, disturbed alike."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.contenders import contender
from arrowmind.bench.neighbour import BusyNeighbour
from arrowmind.bench.process import WorkerError, WorkerProcess, cold_start
from arrowmind.bench.statistics import cosines, latency, spread
from arrowmind.observe import get_logger, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arrowmind.bench.contenders.base import Job, Vectors
    from arrowmind.bench.workload import Workload
    from arrowmind.observe import Progress

__all__ = ["Lane", "RaceOptions", "run_race"]

_log = get_logger("arrowmind.bench")

_REFERENCES = ("sentence-transformers-fp32", "torch-fp32", "onnxruntime-fp32", "arrowmind-fp32")
_SETTLE_SECONDS = 0.3  # threads of the contender before may spin for a while after their work
_LATENCY = {"short": (5, 40), "long": (3, 15)}  # warm-up calls and timed calls per round


@dataclass(frozen=True)
class RaceOptions:
    """How long to measure, and what."""

    rounds: int = 5
    latency_rounds: int = 5
    cold_starts: int = 3
    tune: bool = True
    neighbour_rounds: int = 3


@dataclass
class Lane:
    """One contender and what was measured of it. Seconds of the rounds stay, so that ratios can be taken."""

    name: str
    precision: str
    error: str | None = None
    weights_bytes: int = 0
    fallbacks: list[str] = field(default_factory=list)
    cold: list[dict[str, float]] = field(default_factory=list)
    open_seconds: float = 0.0
    setting: dict[str, int] = field(default_factory=dict)
    rounds: list[float] = field(default_factory=list)
    cpu_rounds: list[float] = field(default_factory=list)
    quiet_rounds: list[float] = field(default_factory=list)
    busy_rounds: list[float] = field(default_factory=list)
    short: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    fidelity: dict[str, float] = field(default_factory=dict)
    similarity: dict[str, float] = field(default_factory=dict)

    def summary(self, sentences: int, tokens: int) -> dict[str, Any]:
        """The figures a table shows, from what was measured."""
        if self.error is not None:
            return {"error": self.error}
        speeds = [sentences / seconds for seconds in self.rounds]
        values: dict[str, Any] = {
            "sentences_per_s": spread(speeds),
            "tokens_per_s": float(np.median(speeds)) * tokens / sentences,
            "cpu_seconds_per_round": min(self.cpu_rounds),
            "start_seconds": spread([run["seconds"] for run in self.cold]),
            "resident_first": max(run["resident"] for run in self.cold),
        }
        if self.short:
            values |= {"short": latency(self.short), "long": latency(self.long)}
        if self.busy_rounds:
            values["neighbour_share"] = float(np.median(self.quiet_rounds) / np.median(self.busy_rounds))
        return values

    def to_dict(self, sentences: int, tokens: int) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**asdict(self), "summary": self.summary(sentences, tokens)}


class _Race:
    """The lanes that still run; one that fails keeps its error, and the others go on."""

    def __init__(self, jobs: Sequence[Job], options: RaceOptions, progress: Progress) -> None:
        self.lanes = {job.name: Lane(job.name, contender(job.name).precision) for job in jobs}
        self.workers: dict[str, WorkerProcess] = {}
        self.options = options
        self._progress = progress

    def each(self, what: str, rounds: int, step: Callable[[Lane, WorkerProcess], None]) -> None:
        """Do `step` for every lane in turn, `rounds` times."""
        total, done = rounds * len(self.workers), 0
        for _ in range(rounds):
            for name in list(self.workers):
                time.sleep(_SETTLE_SECONDS)
                try:
                    step(self.lanes[name], self.workers[name])
                except WorkerError as error:
                    self.lanes[name].error = str(error)
                    _log.warning("contender failed", contender=name, reason=str(error))
                    self.workers.pop(name).close()
                done += 1
                self._progress(done, total, what)


def run_race(
    jobs: Sequence[Job],
    workload: Workload,
    folder: Path,
    options: RaceOptions | None = None,
    progress: Progress = no_progress,
) -> list[Lane]:
    """Measure every contender.

    Args:
        jobs: The contenders; of each name one.
        workload: What they encode.
        folder: For what passes between the processes.
        options: How long to measure.
        progress: Told what is going on.

    Returns:
        A lane per job, in their order; a contender that failed has an error instead of figures.
    """
    race = _Race(jobs, options or RaceOptions(), progress)
    texts = workload.write(folder / "texts.json")
    scripts: dict[str, str] = {}
    with ExitStack() as stack:
        race.workers = {job.name: stack.enter_context(WorkerProcess(job)) for job in jobs}
        race.each("preparing models", 1, lambda lane, worker: _prepare(lane, worker, scripts))
        _renew(race, stack)
        race.each(
            "cold starts",
            race.options.cold_starts,
            lambda lane, worker: _cold(lane, worker, scripts, workload),
        )
        race.each("loading", 1, lambda lane, worker: _open(lane, worker, texts))
        race.each("latency", race.options.latency_rounds, _latency)
        race.each("choosing settings", 1, lambda lane, worker: _tune(lane, worker, tune=race.options.tune))
        race.each("throughput", race.options.rounds, _throughput)
        race.each("fidelity", 1, lambda lane, worker: _embed(lane, worker, "all", folder))
        if race.options.neighbour_rounds:
            race.each("busy neighbour", race.options.neighbour_rounds, _with_neighbour)
        if workload.similarity is not None:
            race.each("similarity", 1, lambda lane, worker: _embed(lane, worker, "similarity", folder))
        race.each("memory", 1, _memory)
    _compare(list(race.lanes.values()), workload, folder)
    return list(race.lanes.values())


def _renew(race: _Race, stack: ExitStack) -> None:
    """Conversion leaves memory and imports behind: measure in fresh processes."""
    for name, worker in list(race.workers.items()):
        worker.close()
        race.workers[name] = stack.enter_context(WorkerProcess(worker.job))


def _prepare(lane: Lane, worker: WorkerProcess, scripts: dict[str, str]) -> None:
    reply = worker.ask("prepare")
    lane.weights_bytes, scripts[lane.name] = reply["bytes"], reply["cold_script"]
    lane.fallbacks = reply["fallbacks"]
    for fallback in lane.fallbacks:
        _log.warning("contender fell back", contender=lane.name, reason=fallback)


def _cold(lane: Lane, worker: WorkerProcess, scripts: dict[str, str], workload: Workload) -> None:
    text = workload.texts["short"][0]
    lane.cold.append(cold_start(scripts[lane.name], text, worker.job.threads))


def _open(lane: Lane, worker: WorkerProcess, texts: Path) -> None:
    lane.open_seconds = worker.ask("open")["seconds"]
    worker.ask("texts", path=str(texts))


def _latency(lane: Lane, worker: WorkerProcess) -> None:
    for name, (warm, repeats) in _LATENCY.items():
        seconds = worker.ask("time", texts=name, warm=warm, repeats=repeats)["seconds"]
        (lane.short if name == "short" else lane.long).extend(seconds)


def _tune(lane: Lane, worker: WorkerProcess, *, tune: bool) -> None:
    if tune:
        lane.setting = worker.ask("tune", texts="tuning")["setting"]


def _throughput(lane: Lane, worker: WorkerProcess) -> None:
    reply = worker.ask("time", texts="all")
    lane.rounds += reply["seconds"]
    lane.cpu_rounds += reply["cpu"]


def _with_neighbour(lane: Lane, worker: WorkerProcess) -> None:
    lane.quiet_rounds += worker.ask("time", texts="all")["seconds"]
    with BusyNeighbour():
        lane.busy_rounds += worker.ask("time", texts="all")["seconds"]


def _embed(lane: Lane, worker: WorkerProcess, texts: str, folder: Path) -> None:
    worker.ask("encode", texts=texts, out=str(_vector_file(folder, lane.name, texts)))


def _memory(lane: Lane, worker: WorkerProcess) -> None:
    lane.memory = worker.ask("memory")


def _vector_file(folder: Path, name: str, texts: str) -> Path:
    return folder / f"{name}-{texts}.npy"


def _compare(lanes: list[Lane], workload: Workload, folder: Path) -> None:
    """Fidelity to the first reference that ran, and STS-B."""
    running = {lane.name: lane for lane in lanes if lane.error is None}
    reference = next((name for name in _REFERENCES if name in running), None)
    for lane in running.values():
        vectors = _load(folder, lane.name, "all")
        if reference not in (None, lane.name):
            similar = cosines(vectors, _load(folder, reference, "all"))
            lane.fidelity = {"cosine_mean": float(similar.mean()), "cosine_min": float(similar.min())}
        if workload.similarity is not None:
            score = workload.similarity.correlation(_load(folder, lane.name, "similarity"))
            lane.similarity = {workload.similarity.name: score}


def _load(folder: Path, name: str, texts: str) -> Vectors:
    vectors: Vectors = np.load(_vector_file(folder, name, texts))
    return vectors
