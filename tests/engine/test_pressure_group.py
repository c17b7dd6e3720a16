"""In a real control group of memory: another process takes some, and the model gives way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.engine import test_activation as activation

GROUPS = Path("/sys/fs/cgroup/memory")
CHILD = """
import json, sys, time
from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.errors import MemoryBudgetError
folder, spare = sys.argv[1], int(sys.argv[2])
config = load_config(env={}, overrides={"residency.pressure_seconds": 0.05})
try:
    ArrowEngine(folder, ram="1MiB", config=config)
except MemoryBudgetError as error:
    ram = int(str(error).split("give at least ")[1].split(":")[0]) + spare
engine = ArrowEngine(folder, ram=ram, config=config)
native = engine._language.residence.weights.residency
ask = lambda: list(engine.generate([5, 6, 7], max_tokens=4, ignore_eos=True).token_ids)
def tell():
    found = {"ram": ram, "budget": native.budget, "ids": ask()}
    print(json.dumps(found), flush=True)
    return found["budget"]
told = tell()
for line in sys.stdin:
    wanted, end = line.strip(), time.monotonic() + 30
    while time.monotonic() < end:
        time.sleep(0.05)
        if (native.budget < told) if wanted == "less" else (native.budget > told):
            break
    told = tell()
"""
HOG = """
import sys
taken = bytearray(int(sys.argv[1]))
for place in range(0, len(taken), 4096):
    taken[place] = 1
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def group():
    """A group of its own, and what brings a process into it."""
    place = GROUPS / f"arrowmind-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no control group of memory (version 1) that can be written: {error}")
    yield place
    for _ in range(50):
        try:
            place.rmdir()
            return
        except OSError:
            time.sleep(0.1)


def used(group):
    """Without pages of files, which are dropped for the asking."""
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int((group / "memory.usage_in_bytes").read_text()) - int(stat["total_inactive_file"])


def start(group, code, *words):
    def enter():
        (group / "cgroup.procs").write_text(str(os.getpid()))

    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=enter,
    )


make = activation.make


def test_another_process_takes_memory_and_gives_it_back(group, make):
    folder = make(activation.DENSE)
    (group / "memory.limit_in_bytes").write_text(str(900 << 20))
    model = start(group, CHILD, folder, 120 << 20)
    hog = None
    try:
        before = json.loads(model.stdout.readline())
        limit = before["ram"] + (150 << 20)
        (group / "memory.limit_in_bytes").write_text(str(limit))
        hog = start(group, HOG, limit - used(group) - (24 << 20))  # 12 for the other process itself
        assert hog.stdout.readline() == "taken\n"
        model.stdin.write("less\n")
        model.stdin.flush()
        less = json.loads(model.stdout.readline())
        assert less["budget"] < before["budget"], less
        assert less["ids"] == before["ids"]
        hog.communicate("")
        model.stdin.write("more\n")
        model.stdin.flush()
        more = json.loads(model.stdout.readline())
        assert more["budget"] > less["budget"], more
        assert more["budget"] <= before["budget"]
        assert more["ids"] == before["ids"]
        assert model.poll() is None  # nobody was killed
    finally:
        for process in (model, hog):
            if process is not None and process.poll() is None:
                process.kill()
            if process is not None:
                process.communicate()
