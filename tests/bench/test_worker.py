"""A contender in a process of its own."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest
from tests.reference import folder

from arrowmind.bench.contenders.base import Job, Setting
from arrowmind.bench.process import WorkerProcess
from arrowmind.bench.resident import resident_bytes
from arrowmind.bench.worker import Worker

TEXTS = {"all": ["the cat", "a dog sat"], "tuning": ["the cat"]}


@pytest.fixture
def job(tmp_path):
    source = folder.write(tmp_path / "source", folder.weights())
    return Job("arrowmind-fp32", source, tmp_path / "cache" / "arrowmind-fp32", threads=1)


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.json"
    path.write_text(json.dumps(TEXTS))
    return str(path)


def ready(job, texts):
    worker = Worker(job)
    for request in ({"do": "prepare"}, {"do": "open"}, {"do": "texts", "path": texts}):
        assert "error" not in worker.handle(request), request
    return worker


def test_a_contender_from_preparation_to_vectors(job, texts, tmp_path):
    worker = Worker(job)
    prepared = worker.handle({"do": "prepare"})
    assert prepared["bytes"] == (job.cache / job.name / "weights.arrow").stat().st_size
    assert "ArrowEngine" in prepared["cold_script"]
    assert isinstance(prepared["fallbacks"], list)
    assert worker.handle({"do": "open"})["seconds"] > 0
    assert worker.handle({"do": "texts", "path": texts}) == {"counts": {"all": 2, "tuning": 1}}
    out = tmp_path / "v.npy"
    assert worker.handle({"do": "encode", "texts": "all", "out": str(out)}) == {}
    np.testing.assert_allclose(np.linalg.norm(np.load(out), axis=1), 1, rtol=1e-5)


def test_times_and_memory(job, texts):
    worker = ready(job, texts)
    reply = worker.handle({"do": "time", "texts": "all", "warm": 1, "repeats": 3})
    assert len(reply["seconds"]) == len(reply["cpu"]) == 3
    assert min(reply["seconds"]) > 0
    memory = worker.handle({"do": "memory"})
    assert 0 < memory["resident"] <= memory["peak"] * 1.01
    assert resident_bytes() > 1 << 20


class Paced:
    """A session whose settings differ in speed."""

    def __init__(self):
        self.used = []

    def settings(self):
        return [Setting(1), Setting(2), Setting(4)]

    def use(self, setting):
        self.used.append(setting)

    def encode(self, texts):
        time.sleep({1: 0.03, 2: 0.001, 4: 0.02}[self.used[-1].batch])
        return np.zeros((len(texts), 2), np.float32)


def test_the_fastest_setting_is_found_and_kept(job, texts):
    worker = ready(job, texts)
    worker._session = Paced()
    reply = worker.handle({"do": "tune", "texts": "tuning", "repeats": 2})
    assert reply["setting"] == {"batch": 2, "callers": 1}
    assert [trial["batch"] for trial in reply["trials"]] == [1, 2, 4]
    assert worker._session.used[-1] == Setting(2)
    worker.handle({"do": "time", "texts": "all", "setting": {"batch": 4, "callers": 1}})
    assert worker._session.used[-1] == Setting(4)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"do": "time", "texts": "all"}, "RuntimeError: open comes first"),
        ({"do": "nothing"}, "KeyError: 'nothing'"),
        ({"do": "texts", "path": "none.json"}, "FileNotFoundError"),
        ({}, "KeyError: 'do'"),
    ],
)
def test_a_mistake_is_an_answer(job, request_, error):
    assert Worker(job).handle(request_)["error"].startswith(error)


def test_in_a_process_of_its_own(job, texts, tmp_path):
    with WorkerProcess(job) as worker:
        assert worker.ask("prepare")["bytes"] > 0
        worker.ask("open")
        worker.ask("texts", path=texts)
        worker.ask("encode", texts="all", out=str(tmp_path / "v.npy"))
        assert worker.ask("memory")["resident"] != os.getpid()
    assert np.load(tmp_path / "v.npy").shape[0] == 2


def test_what_a_library_prints_does_not_disturb_the_answers(job, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, json\n"
        "loads = json.loads\n"
        "def noisy(*words, **options):\n    print('chatter', flush=True); return loads(*words, **options)\n"
        "json.loads = noisy\n"
    )
    package = os.environ.get("PYTHONPATH", "")
    from arrowmind.bench.process import environment

    path = os.pathsep.join([str(tmp_path), environment(1)["PYTHONPATH"], package])
    with WorkerProcess(job, env={"PYTHONPATH": path}) as worker:
        assert worker.ask("memory")["resident"] > 0
        assert worker.ask("memory")["resident"] > 0
    assert "chatter" in (job.cache.parent / f"{job.name}.log").read_text()
