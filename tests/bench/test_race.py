"""The order of a race, what it keeps, and what it does about contenders that fail."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.bench import race
from arrowmind.bench.contenders.base import Job
from arrowmind.bench.process import WorkerError
from arrowmind.bench.race import RaceOptions, run_race
from arrowmind.bench.workload import SimilarityTask, Workload

OURS, REFERENCE, PEER = "arrowmind-int8", "onnxruntime-fp32", "ctranslate2-int8"
# Unit vectors of two sentences; cosines to the reference are 1 and 0.6 for the others.
VECTORS = {REFERENCE: [[1, 0], [1, 0]], OURS: [[1, 0], [0.6, 0.8]], PEER: [[1, 0], [0.6, 0.8]]}


class FakeWorker:
    """Answers at once, writes down who was asked what, and fails where it is told to."""

    asked: list = []  # noqa: RUF012
    failing: dict = {}  # noqa: RUF012
    busy = False

    def __init__(self, job):
        self.job = job
        self.asked.append((job.name, "start"))

    def ask(self, do, **arguments):
        self.asked.append((self.job.name, do if do != "time" else arguments["texts"]))
        if self.failing.get(self.job.name) == do:
            raise WorkerError(f"{self.job.name} failed at {do}")
        return getattr(self, f"_{do}", dict)(**arguments)

    def close(self):
        self.asked.append((self.job.name, "close"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _prepare(self):
        fallbacks = ["bench: pairs instead of fours"] if self.job.name == OURS else []
        return {"bytes": 1000, "cold_script": f"script of {self.job.name}", "fallbacks": fallbacks}

    def _open(self):
        return {"seconds": 0.5}

    def _tune(self, texts):
        return {"setting": {"batch": 8, "callers": 1}}

    def _time(self, texts, warm=0, repeats=1):
        return {"seconds": [2.0 if FakeWorker.busy else 1.0] * repeats, "cpu": [1.5] * repeats}

    def _encode(self, texts, out):
        np.save(out, np.array(VECTORS[self.job.name] * (2 if texts == "similarity" else 1), np.float32))
        return {}

    def _memory(self):
        return {"resident": 10, "peak": 20}


class FakeNeighbour:
    def __enter__(self):
        FakeWorker.busy = True

    def __exit__(self, *_):
        FakeWorker.busy = False


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    monkeypatch.setattr(FakeWorker, "asked", [])
    monkeypatch.setattr(FakeWorker, "failing", {})
    monkeypatch.setattr(race, "WorkerProcess", FakeWorker)
    monkeypatch.setattr(race, "BusyNeighbour", FakeNeighbour)
    monkeypatch.setattr(race, "_SETTLE_SECONDS", 0)
    monkeypatch.setattr(race, "cold_start", lambda script, text, threads: {"seconds": 0.1, "resident": 5.0})


def run(tmp_path, *names, similarity=None, **options):
    jobs = [Job(name, tmp_path, tmp_path / name, 2) for name in names]
    texts = {"all": ["a", "b"], "tuning": ["a"], "short": ["a"], "long": ["b"]}
    workload = Workload(texts, 7, similarity)
    return {lane.name: lane for lane in run_race(jobs, workload, tmp_path, RaceOptions(**options))}


def test_contenders_take_turns(tmp_path):
    run(tmp_path, OURS, PEER, rounds=3, neighbour_rounds=0)
    assert [name for name, what in FakeWorker.asked if what == "all"] == [OURS, PEER] * 3


def test_models_are_prepared_in_other_processes_than_are_measured(tmp_path):
    run(tmp_path, OURS)
    steps = [what for _, what in FakeWorker.asked]
    assert steps[:4] == ["start", "prepare", "close", "start"]


def test_what_is_kept(tmp_path):
    lane = run(tmp_path, OURS, REFERENCE, rounds=4, latency_rounds=2, cold_starts=3, neighbour_rounds=2)[OURS]
    assert (lane.error, lane.weights_bytes, lane.open_seconds) == (None, 1000, 0.5)
    assert lane.to_dict(sentences=2, tokens=7)["fallbacks"] == ["bench: pairs instead of fours"]
    assert (len(lane.rounds), len(lane.cpu_rounds), len(lane.cold)) == (4, 4, 3)
    assert (len(lane.short), len(lane.long)) == (2 * 40, 2 * 15)
    assert lane.setting == {"batch": 8, "callers": 1}
    assert (lane.quiet_rounds, lane.busy_rounds) == ([1.0, 1.0], [2.0, 2.0])
    assert lane.memory == {"resident": 10, "peak": 20}
    summary = lane.to_dict(sentences=2, tokens=7)["summary"]
    assert summary["sentences_per_s"] == {"median": 2.0, "min": 2.0, "max": 2.0}
    assert summary["tokens_per_s"] == 7.0
    assert summary["neighbour_share"] == 0.5
    assert summary["start_seconds"]["median"] == 0.1


def test_untuned_and_undisturbed(tmp_path):
    lane = run(tmp_path, OURS, tune=False, neighbour_rounds=0)[OURS]
    assert lane.setting == {}
    assert lane.busy_rounds == []
    assert "neighbour_share" not in lane.summary(2, 7)
    assert not {"tune"} & {what for _, what in FakeWorker.asked}


def test_fidelity_is_the_cosine_to_the_reference(tmp_path):
    lanes = run(tmp_path, OURS, REFERENCE, PEER)
    assert lanes[OURS].fidelity == pytest.approx({"cosine_mean": 0.8, "cosine_min": 0.6})
    assert lanes[REFERENCE].fidelity == {}


def test_without_a_reference_there_is_no_fidelity(tmp_path):
    assert run(tmp_path, OURS, PEER)[OURS].fidelity == {}


def test_similarity_by_rank(tmp_path):
    task = SimilarityTask("stsb", ["a", "b"], ["c", "d"], [5.0, 1.0])
    lanes = run(tmp_path, OURS, similarity=task)
    assert set(lanes[OURS].similarity) == {"stsb"}


@pytest.mark.parametrize("step", ["prepare", "open", "tune", "time", "encode", "memory"])
def test_a_contender_that_fails_leaves_the_others_alone(tmp_path, step):
    FakeWorker.failing[PEER] = step
    lanes = run(tmp_path, OURS, PEER, REFERENCE)
    assert lanes[PEER].error == f"{PEER} failed at {step}"
    assert lanes[PEER].summary(2, 7) == {"error": lanes[PEER].error}
    assert lanes[OURS].error is lanes[REFERENCE].error is None
    assert len(lanes[OURS].rounds) == RaceOptions.rounds
    last = max(i for i, (name, _) in enumerate(FakeWorker.asked) if name == PEER)
    assert {what for name, what in FakeWorker.asked[last:] if name == PEER} == {"close"}


def test_a_reference_that_fails_is_not_the_measure(tmp_path):
    FakeWorker.failing[REFERENCE] = "memory"
    assert run(tmp_path, OURS, REFERENCE)[OURS].fidelity == {}


def test_every_process_is_closed(tmp_path):
    FakeWorker.failing[PEER] = "tune"
    run(tmp_path, OURS, PEER)
    for name in (OURS, PEER):
        starts = FakeWorker.asked.count((name, "start"))
        assert starts == 2
        assert FakeWorker.asked.count((name, "close")) >= starts


def test_progress_reaches_its_end(tmp_path):
    seen = []
    jobs = [Job(OURS, tmp_path, tmp_path / OURS, 1)]
    workload = Workload({"all": ["a", "b"], "tuning": [], "short": ["a"], "long": ["b"]}, 7)
    run_race(jobs, workload, tmp_path, RaceOptions(), lambda *step: seen.append(step))
    assert [step for step in seen if step[2] == "throughput"] == [(n, 5, "throughput") for n in range(1, 6)]
