"""The order of a race, what it keeps, and what it does about contenders that fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arrowmind.bench.contenders.base import Job
from arrowmind.bench.language import race
from arrowmind.bench.language.race import LanguageOptions, run_language_race
from arrowmind.bench.process import WorkerError

OURS, PEER, REFERENCE = "arrowmind-int8", "llama.cpp-Q8_0", "llama.cpp-F16"
ROWS = {OURS: [[1, 0], [3, 4]], PEER: [[1, 0], [0, 1]], REFERENCE: [[1, 0], [0, 1]]}


class FakeWorker:
    """Answers at once, writes down who was asked what, and fails where it is told to."""

    asked: list = []  # noqa: RUF012
    failing: dict = {}  # noqa: RUF012

    def __init__(self, job, module):
        assert module == "arrowmind.bench.language.worker"
        self.job = job

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.asked.append((self.job.name, "close"))

    def ask(self, do, **arguments):
        self.asked.append((self.job.name, do))
        if self.failing.get(self.job.name) == do:
            raise WorkerError(f"{self.job.name} failed at {do}")
        if do == "logits":
            np.save(arguments["out"], np.array(ROWS[self.job.name], np.float32))
        seconds = [0.01, 0.02, 0.5] if do == "decode" else 2.0
        return {"bytes": 10, "weight_bytes": 10**8, "seconds": seconds, "peak": 1, "resident": 1}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "WorkerProcess", FakeWorker)
    monkeypatch.setattr(race, "_SETTLE_SECONDS", 0)
    monkeypatch.setattr(race, "read_bandwidth", lambda threads: 1e10 * threads)
    FakeWorker.asked, FakeWorker.failing = [], {}

    def start(*names):
        jobs = [Job(name, Path("shape"), Path(name), 2) for name in names]
        return run_language_race(jobs, tmp_path, LanguageOptions(rounds=3, prefill_rounds=2), 100)

    return start


def test_rounds_alternate_and_medians_are_kept(run):
    found = run(OURS, PEER)
    decoding = [name for name, do in FakeWorker.asked if do == "decode"]
    assert decoding == [OURS, PEER] * 3
    assert [lane.decode for lane in found.lanes] == [[0.02] * 3] * 2
    assert found.lanes[0].prefill == [2.0, 2.0]
    assert found.bandwidth == [2e10] * 3
    # 100 MB in 20 ms, of 20 GB/s
    assert found.share(found.lanes[0]) == pytest.approx(0.25)


def test_answers_are_compared_with_the_first_reference(run):
    ended = run(OURS, PEER, REFERENCE)
    found = {lane.name: lane for lane in ended.lanes}
    assert ended.reference == REFERENCE
    assert found[OURS].fidelity == {"cosine": pytest.approx(0.8), "same_token": 1.0}
    assert found[PEER].fidelity["cosine"] == pytest.approx(1.0)
    assert found[REFERENCE].fidelity == {}
    assert run(OURS).reference is None


@pytest.mark.parametrize("step", ["prepare", "open", "logits", "decode", "prefill"])
def test_one_that_fails_keeps_its_error_and_the_others_go_on(run, step):
    FakeWorker.failing = {PEER: step}
    ours, peer, reference = run(OURS, PEER, REFERENCE).lanes
    assert peer.error == f"{PEER} failed at {step}"
    assert ours.error is None
    assert len(ours.decode) == len(reference.decode) == 3
    assert "tokens_per_second" in peer.to_dict()
