"""The thread that decodes: many hand in and leave, none waits for ever."""

from __future__ import annotations

import gc
import threading
import time

import pytest
from tests.engine.test_scheduling import Reader, alone, job_of, make
from tests.engine.toy_batch import ToyBatchDecoder

from arrowmind.engine import worker as module
from arrowmind.engine.scheduling import Schedule
from arrowmind.engine.streams import Completion, GenerationStream
from arrowmind.engine.worker import DecodeWorker
from arrowmind.errors import OverloadError


@pytest.fixture
def decoder():
    return ToyBatchDecoder(capacity=4000, window=2000)


@pytest.fixture
def worker(decoder):
    made = DecodeWorker(Schedule(decoder))
    yield made
    made.close()
    assert decoder.sequences == {}


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.001)


def endless():
    return make([1], max_tokens=150_000, window=200_000)


def test_threads_get_each_their_own(worker):
    found = {}

    def ask(index):
        wait = Completion(make([index % 8], stream=index))
        worker.submit(wait.job)
        found[index] = list(wait.wait().token_ids)

    threads = [threading.Thread(target=ask, args=[index]) for index in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {index: alone([index % 8], stream=index) for index in range(40)}


def test_a_stream_that_is_closed_or_forgotten_frees_its_sequence(worker, decoder):
    for leave in (GenerationStream.close, lambda stream: None):
        stream = GenerationStream(endless(), worker.cancel)
        worker.submit(stream.job)
        next(stream)
        leave(stream)
        del stream
        gc.collect()
        until(lambda: worker.running == 0)
        until(lambda: len(decoder.sequences) <= 1)  # kept for prompts that begin alike


def test_a_closed_stream_has_no_more(worker):
    stream = GenerationStream(endless(), worker.cancel)
    worker.submit(stream.job)
    with stream:
        next(stream)
    assert list(stream) == []
    assert stream.generation.finish_reason is None


def test_an_error_is_raised_where_it_is_read(worker, decoder):
    def failing(tokens):
        raise OSError("gone")

    decoder.failing = failing
    wait, stream = Completion(make([1])), GenerationStream(make([2]), worker.cancel)
    worker.submit(wait.job)
    worker.submit(stream.job)
    with pytest.raises(OSError, match="gone"):
        wait.wait()
    with pytest.raises(OSError, match="gone"):
        next(stream)
    assert list(stream) == []


def test_more_than_may_wait_are_refused(decoder):
    gate = threading.Event()
    decoder.failing = lambda tokens: gate.wait(10) and None
    busy = DecodeWorker(Schedule(decoder))
    jobs = [job_of([1]) for _ in range(3)]
    busy.submit(jobs[0])
    until(lambda: busy.running == 1)
    busy.submit(jobs[1], most_waiting=1)
    with pytest.raises(OverloadError, match="1 texts wait already, and 1 may"):
        busy.submit(jobs[2], most_waiting=1)
    gate.set()
    until(lambda: jobs[1].consumer.ended)
    assert jobs[1].consumer.tokens == alone([1])
    busy.close()
    busy.close()
    with pytest.raises(OverloadError, match="was closed"):
        busy.submit(job_of([1]))


def test_closing_ends_those_that_run_and_wait(decoder):
    worker = DecodeWorker(Schedule(decoder))
    waits = [Completion(endless()) for _ in range(3)]
    for wait in waits:
        worker.submit(wait.job)
    worker.close()
    for wait in waits:
        with pytest.raises(OverloadError, match="before the text was complete"):
            wait.wait()


def test_the_thread_leaves_when_idle_and_comes_back(worker, monkeypatch):
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.01)
    for _ in range(3):
        job = job_of([1])
        worker.submit(job)
        until(lambda job=job: job.consumer.ended)
        until(lambda: worker._thread is None)


def test_a_fault_of_the_schedule_ends_its_sequences_and_not_the_worker(worker, monkeypatch, caplog):
    whole = Schedule._plan
    monkeypatch.setattr(Schedule, "_plan", lambda self: 1 / 0)
    job = job_of([1])
    worker.submit(job)
    until(lambda: job.consumer.ended)
    assert isinstance(job.consumer.error, ZeroDivisionError)
    assert "the scheduler failed" in caplog.text
    monkeypatch.setattr(Schedule, "_plan", whole)
    again = job_of([1])
    worker.submit(again)
    until(lambda: again.consumer.ended)
    assert again.consumer.tokens == alone([1])


def test_a_reader_that_raises_at_the_end_disturbs_nobody(worker):
    class Rude(Reader):
        def finish(self, error):
            raise RuntimeError("no")

    rude, polite = job_of([1]), job_of([2])
    rude.consumer = Rude()
    worker.submit(rude)
    worker.submit(polite)
    until(lambda: polite.consumer.ended)
    assert polite.consumer.tokens == alone([2])
