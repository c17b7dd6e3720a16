"""The parent's side of a worker: whatever a contender does, the benchmark goes on."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from arrowmind.bench import process
from arrowmind.bench.contenders.base import Job
from arrowmind.bench.process import WorkerError, WorkerProcess, cold_start, environment

FAKE = Path(__file__).with_name("fake_worker.py")


@pytest.fixture
def start(tmp_path):
    """Starts the fake worker; a real one is told by its job alone."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}"\n')
    python.chmod(0o755)
    job = Job("somebody", tmp_path / "source", tmp_path / "cache" / "somebody", threads=3)
    return lambda **options: WorkerProcess(job, python=str(python), **options)


def test_requests_and_answers_alternate(start):
    with start() as worker:
        for number in range(3):
            assert worker.ask("say", number=number) == {"echo": {"do": "say", "number": number}}


def test_an_exception_of_the_contender_is_told_and_it_goes_on(start):
    with start() as worker:
        with pytest.raises(WorkerError, match="somebody failed at 'raise': ValueError: no such thing"):
            worker.ask("raise")
        assert worker.ask("say")["echo"]


def test_a_contender_that_dies_is_told_with_its_log(start, tmp_path):
    with start() as worker:
        with pytest.raises(WorkerError, match=r"somebody ended during 'crash': see .*somebody\.log"):
            worker.ask("crash")
        with pytest.raises(WorkerError, match="ended during 'say'"):
            worker.ask("say")
    assert (tmp_path / "cache" / "somebody.log").read_text() == "the last words\n"


def test_a_request_that_a_dead_contender_did_not_read_is_no_error_at_the_end(start):
    with start() as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(WorkerError, match="ended during 'say'"):
            worker.ask("say")


def test_a_contender_that_hangs_is_ended(start):
    began = time.monotonic()
    with (
        start(patience=0.3) as worker,
        pytest.raises(WorkerError, match=r"gave no answer for 0\.3 s during 'hang'"),
    ):
        worker.ask("hang")
    assert time.monotonic() - began < 30


def test_a_quick_answer_is_not_cut_short_later(start):
    with start(patience=0.5) as worker:
        worker.ask("say")
        time.sleep(0.6)
        assert worker.ask("say")["echo"]


def test_one_that_does_not_leave_is_ended(start, monkeypatch):
    monkeypatch.setattr(process, "_CLOSE_SECONDS", 0.2)
    worker = start(env={"FAKE_WORKER_STAYS": "1"})
    worker.ask("say")
    worker.close()
    assert worker._process.returncode == -9


def test_a_closed_worker_says_so(start):
    worker = start()
    worker.close()
    with pytest.raises(WorkerError, match="somebody was closed"):
        worker.ask("say")


def test_every_library_gets_the_same_number_of_threads(start, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    with start() as worker:
        env = worker.ask("environment")["environment"]
    assert {env[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")} == {"3"}
    assert env["OPENBLAS_NUM_THREADS"] == "1"
    assert environment(1, {"OMP_NUM_THREADS": "9"})["OMP_NUM_THREADS"] == "9"


def test_a_cold_start_is_timed_from_the_start_of_the_process():
    run = cold_start("import time; time.sleep(0.2); assert TEXT == 'it\\'s'", "it's", threads=1)
    assert 0.2 < run["seconds"] < 20
    assert run["resident"] > 1 << 20


def test_a_cold_start_that_fails():
    with pytest.raises(WorkerError, match=r"(?s)cold start failed: .*ZeroDivisionError"):
        cold_start("1 / 0", "", threads=1)


def test_a_cold_start_that_hangs(monkeypatch):
    monkeypatch.setattr(process, "_COLD_PATIENCE_SECONDS", 0.3)
    with pytest.raises(WorkerError, match=r"no answer for 0\.3 s"):
        cold_start("import time; time.sleep(600)", "", threads=1)
