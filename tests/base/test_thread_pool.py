"""The thread pool: every task once, under concurrent callers, exceptions, busy neighbours and fork."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("tasks", [0, 1, 2, 7, 200])
def test_every_task_runs_once(threads, tasks):
    pool = _native.ThreadPool(threads)
    done: list[int] = []
    pool.run(tasks, lambda task, worker: done.append(task))
    assert sorted(done) == list(range(tasks))


def test_one_thread_is_the_caller():
    threads = set()
    _native.ThreadPool(1).run(5, lambda task, worker: threads.add((threading.get_ident(), worker)))
    assert threads == {(threading.get_ident(), 0)}


def test_workers_are_never_shared_within_a_call():
    pool = _native.ThreadPool(4)
    lock = threading.Lock()
    active: set[int] = set()
    clashes = []

    def body(task: int, worker: int) -> None:
        with lock:
            if worker in active or not 0 <= worker < 4:
                clashes.append(worker)
            active.add(worker)
        time.sleep(0.001)
        with lock:
            active.remove(worker)

    for _ in range(5):
        pool.run(20, body)
    assert clashes == []


def test_a_held_up_thread_costs_its_share_only():
    """One task that waits leaves all others to the other thread."""
    pool = _native.ThreadPool(2)
    others_done = threading.Event()
    worker_of: dict[int, int] = {}

    def body(task: int, worker: int) -> None:
        worker_of[task] = worker
        if task == 0:
            assert others_done.wait(20)
        elif len(worker_of) == 50:
            others_done.set()

    pool.run(50, body)
    assert len(worker_of) == 50
    assert len({worker_of[task] for task in range(1, 50)}) == 1
    assert worker_of[0] != worker_of[1]


def test_the_first_exception_is_raised_and_ends_the_call():
    pool = _native.ThreadPool(3)
    begun: list[int] = []

    def body(task: int, worker: int) -> None:
        begun.append(task)
        if task == 5:
            raise RuntimeError("task five")
        time.sleep(0.001)

    with pytest.raises(RuntimeError, match="task five"):
        pool.run(10_000, body)
    assert len(begun) < 10_000
    done: list[int] = []
    pool.run(10, lambda task, worker: done.append(task))
    assert sorted(done) == list(range(10))


def test_concurrent_callers_get_their_own_tasks():
    pool = _native.ThreadPool(3)
    results: dict[int, list[list[int]]] = {}

    def call(caller: int) -> None:
        results[caller] = []
        for _ in range(30):
            done: list[int] = []
            pool.run(17, lambda task, worker, done=done: done.append(task))
            results[caller].append(sorted(done))

    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()
    assert results == {caller: [list(range(17))] * 30 for caller in range(4)}


def test_a_task_may_use_the_pool_itself():
    pool = _native.ThreadPool(2)
    done: list[tuple[int, int]] = []
    pool.run(4, lambda outer, _: pool.run(3, lambda inner, _: done.append((outer, inner))))
    assert sorted(done) == [(outer, inner) for outer in range(4) for inner in range(3)]


def test_pools_can_be_dropped_at_once():
    done: list[int] = []
    for _ in range(50):
        pool = _native.ThreadPool(4)
        pool.run(4, lambda task, worker: done.append(task))
    assert sorted(done) == [task for task in range(4) for _ in range(50)]


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_senseless_sizes_are_refused(threads):
    with pytest.raises(InvalidArgumentError, match=f"threads={threads}"):
        _native.ThreadPool(threads)


FORK = """
import os, sys, threading, time
from arrowmind import _native

pool = _native.ThreadPool(3)
def count(): done = []; pool.run(64, lambda task, worker: done.append(task)); return len(done)
assert count() == 64
stop = threading.Event()
def keep_busy():
    while not stop.is_set(): count()
busy = threading.Thread(target=keep_busy)
busy.start()
children = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if count() == 64 and count() == 64 else 1)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
busy.join()
assert codes == [0] * 20, codes
assert count() == 64
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork()")
def test_works_in_forked_children_while_in_use():
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr


LIMITED = """
import resource
from arrowmind import _native
from arrowmind.errors import DeviceError

resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))  # 512 MiB hold the stacks of a few dozen threads
try:
    _native.ThreadPool(1000).run(10, lambda task, worker: None)
except DeviceError as error:
    assert "threads=1000" in str(error), error
    print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="address space limits are Linux's")
def test_a_system_out_of_threads_is_an_error():
    result = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout.strip()) == (0, "refused"), result.stderr
