"""The busy neighbour is busy, and goes away."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil

from arrowmind.bench.neighbour import BusyNeighbour

PATIENCE_SECONDS = 10.0


def children():
    return {child.pid for child in psutil.Process().children()}


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_it_uses_a_processor_until_the_end_of_the_block():
    before = children()
    with BusyNeighbour():
        (pid,) = children() - before
        worker = psutil.Process(pid)
        start = worker.cpu_times().user
        assert wait_for(lambda: worker.cpu_times().user >= start + 0.1)
        if hasattr(os, "sched_getaffinity"):
            assert os.sched_getaffinity(pid) == {min(os.sched_getaffinity(0))}
    assert is_gone(pid)


def test_it_ends_with_an_error_in_the_block():
    before = children()
    try:
        with BusyNeighbour():
            raise RuntimeError
    except RuntimeError:
        assert children() == before


def test_it_does_not_outlive_a_parent_that_dies():
    program = (
        "import os, psutil; from arrowmind.bench.neighbour import BusyNeighbour\n"
        "BusyNeighbour().__enter__()\n"
        "print(psutil.Process().children()[0].pid, flush=True); os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 9
    assert wait_for(lambda: is_gone(int(done.stdout)))
