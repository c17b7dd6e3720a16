"""Contenders side by side: each in its own process, round after round in turn, disturbed alike."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.bench.language.bandwidth import read_bandwidth
from arrowmind.bench.process import WorkerError, WorkerProcess
from arrowmind.bench.statistics import cosines, spread
from arrowmind.observe import get_logger, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arrowmind.bench.contenders.base import Job
    from arrowmind.observe import Progress

__all__ = ["LanguageLane", "LanguageOptions", "LanguageRace", "run_language_race"]

_log = get_logger("arrowmind.bench")

_REFERENCES = ("llama.cpp-F16", "arrowmind-fp16")
_WORKER = "arrowmind.bench.language.worker"
_SETTLE_SECONDS = 0.3  # threads of the contender before may spin for a while after their work
_FORCED = 15  # tokens behind the prompt whose logits are compared
_SEED = 7


@dataclass(frozen=True)
class LanguageOptions:
    """How long to measure, and what."""

    rounds: int = 5
    prefill_rounds: int = 3
    tokens: int = 32
    behind: int = 16
    prompt: int = 512
    threads: int = 2


@dataclass
class LanguageLane:
    """One contender and what was measured of it: for each round seconds of a token, and of the prompt."""

    name: str
    error: str | None = None
    file_bytes: int = 0
    weight_bytes: int = 0
    open_seconds: float = 0.0
    decode: list[float] = field(default_factory=list)
    prefill: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    fidelity: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON, with tokens per second."""
        speed = spread([1 / seconds for seconds in self.decode]) if self.decode else None
        return {**asdict(self), "tokens_per_second": speed}


@dataclass
class LanguageRace:
    """The lanes, and what the machine read per second in each round of decoding."""

    lanes: list[LanguageLane]
    bandwidth: list[float] = field(default_factory=list)
    reference: str | None = None

    def share(self, lane: LanguageLane) -> float:
        """Median share of the read bandwidth that decoding reached, round by round."""
        reached = lane.weight_bytes / np.asarray(lane.decode)
        return float(np.median(reached / np.asarray(self.bandwidth)))


def run_language_race(
    jobs: Sequence[Job],
    folder: Path,
    options: LanguageOptions,
    vocabulary: int,
    progress: Progress = no_progress,
) -> LanguageRace:
    """Measure every contender.

    Args:
        jobs: The contenders; of each name one.
        folder: For what passes between the processes.
        options: How long to measure.
        vocabulary: Of the shape.
        progress: Told what is going on.

    Returns:
        A lane per job, in their order; a contender that failed has an error instead of figures.
    """
    race = _Race(jobs, progress)
    chance = np.random.default_rng(_SEED)
    prompt, behind, forced = (
        chance.integers(0, vocabulary, count).tolist() for count in (options.prompt, options.behind, _FORCED)
    )
    with ExitStack() as stack:

        def start(job: Job) -> WorkerProcess:
            return stack.enter_context(WorkerProcess(job, module=_WORKER))

        race.workers = {job.name: start(job) for job in jobs}
        race.each("preparing models", _prepare)
        for name, worker in race.workers.items():  # what making them left in memory is gone
            worker.close()
            race.workers[name] = start(worker.job)
        race.each("loading", _open)
        race.each(
            "answers",
            lambda lane, worker: worker.ask(
                "logits", prompt=behind, forced=forced, out=str(_logits(folder, lane.name))
            ),
        )
        for _ in range(options.rounds):
            race.found.bandwidth.append(read_bandwidth(options.threads))
            race.each("decoding", lambda lane, worker: _decode(lane, worker, behind, options.tokens))
        for _ in range(options.prefill_rounds):
            race.each("reading a prompt", lambda lane, worker: _prefill(lane, worker, prompt))
        race.each("memory", _memory)
    _compare(race.found, folder)
    return race.found


class _Race:
    """The lanes that still run; one that fails keeps its error, and the others go on."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        self.found = LanguageRace([LanguageLane(job.name) for job in jobs])
        self.workers: dict[str, WorkerProcess] = {}
        self._progress = progress

    def each(self, what: str, step: Callable[[LanguageLane, WorkerProcess], Any]) -> None:
        """Do `step` for every lane that runs, in turn."""
        lanes = [lane for lane in self.found.lanes if lane.name in self.workers]
        for done, lane in enumerate(lanes, 1):
            time.sleep(_SETTLE_SECONDS)
            try:
                step(lane, self.workers[lane.name])
            except WorkerError as error:
                lane.error = str(error)
                _log.warning("contender failed", contender=lane.name, reason=str(error))
                self.workers.pop(lane.name).close()
            self._progress(done, len(lanes), what)


def _prepare(lane: LanguageLane, worker: WorkerProcess) -> None:
    lane.file_bytes = worker.ask("prepare")["bytes"]


def _open(lane: LanguageLane, worker: WorkerProcess) -> None:
    reply = worker.ask("open")
    lane.open_seconds, lane.weight_bytes = reply["seconds"], reply["weight_bytes"]


def _decode(lane: LanguageLane, worker: WorkerProcess, prompt: list[int], tokens: int) -> None:
    lane.decode.append(float(np.median(worker.ask("decode", prompt=prompt, tokens=tokens)["seconds"])))


def _prefill(lane: LanguageLane, worker: WorkerProcess, prompt: list[int]) -> None:
    lane.prefill.append(worker.ask("prefill", prompt=prompt)["seconds"])


def _memory(lane: LanguageLane, worker: WorkerProcess) -> None:
    lane.memory = worker.ask("memory")


def _logits(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _compare(race: LanguageRace, folder: Path) -> None:
    """Answers of each lane against those of the first reference that ran."""
    running = {lane.name: lane for lane in race.lanes if lane.error is None}
    race.reference = next((name for name in _REFERENCES if name in running), None)
    if race.reference is None:
        return
    wanted = np.load(_logits(folder, race.reference))
    for lane in running.values():
        if lane.name != race.reference:
            found = np.load(_logits(folder, lane.name))
            similar = cosines(found, wanted)
            same = found.argmax(axis=1) == wanted.argmax(axis=1)
            lane.fidelity = {"cosine": float(similar.min()), "same_token": float(same.mean())}
