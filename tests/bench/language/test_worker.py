"""A contender of ours in a process of its own."""

from __future__ import annotations

import numpy as np
from tests.bench.language.small import job_of

from arrowmind.bench.language.worker import LanguageWorker
from arrowmind.bench.process import WorkerProcess


def test_from_preparation_to_figures(tmp_path):
    worker = LanguageWorker(job_of(tmp_path, "arrowmind-int8"))
    size = worker.handle({"do": "prepare"})["bytes"]
    assert worker.handle({"do": "open"})["weight_bytes"] == size
    seconds = worker.handle({"do": "decode", "prompt": [1, 2], "tokens": 3})["seconds"]
    assert len(seconds) == 3
    assert min(seconds) > 0
    assert worker.handle({"do": "prefill", "prompt": list(range(40))})["seconds"] > 0
    memory = worker.handle({"do": "memory"})
    assert 0 < memory["resident"] <= memory["peak"] * 1.01


def test_logits_depend_on_what_is_given_alone(tmp_path):
    worker = LanguageWorker(job_of(tmp_path, "arrowmind-fp16"))
    worker.handle({"do": "prepare"})
    worker.handle({"do": "open"})
    found = []
    for number in range(2):
        out = tmp_path / f"{number}.npy"
        assert worker.handle({"do": "logits", "prompt": [1, 2], "forced": [3, 4], "out": str(out)}) == {}
        found.append(np.load(out))
    assert found[0].shape == (3, 512)
    np.testing.assert_array_equal(*found)


def test_nothing_without_a_model(tmp_path):
    worker = LanguageWorker(job_of(tmp_path, "arrowmind-int8"))
    reply = worker.handle({"do": "decode", "prompt": [1], "tokens": 1})
    assert reply == {"error": "RuntimeError: open comes first"}


def test_as_a_process(tmp_path):
    with WorkerProcess(
        job_of(tmp_path, "arrowmind-int8"), module="arrowmind.bench.language.worker"
    ) as worker:
        assert worker.ask("prepare")["bytes"] > 0
        worker.ask("open")
        assert len(worker.ask("decode", prompt=[1], tokens=2)["seconds"]) == 2
