"""Threads end before the interpreter does."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.engine import decoders

from arrowmind.weights import convert_model

# Stands for the native one: its read comes back when it is ended, and says so late.
READING = """
import threading, time
from pathlib import Path
from arrowmind import _native
from arrowmind.engine import early_reading

class Weights:
    def __init__(self, path, hashed):
        self.ended = threading.Event()
    def read(self):
        assert self.ended.wait(30)
        time.sleep(0.1)
        print("read has ended")
    def end(self):
        self.ended.set()

_native.EarlyWeights = Weights
early_reading.read_early(Path({folder!r}), hashed=True)
"""

OWNERS = """
import gc
from arrowmind.engine.endings import before_exit

class Owner:
    def __init__(self, name):
        self.name = name
    def end(self):
        print("ended", self.name)
        assert self.name != "bad"

kept = [Owner("first"), Owner("bad"), Owner("last")]
for owner in [*kept, Owner("gone")]:
    before_exit(owner, Owner.end)
del owner
gc.collect()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endings")
    decoders.write_family(folder / "hf", "llama", 78)
    convert_model(folder / "hf", folder / "model")
    return folder / "model"


def run(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)


def test_who_reads_early_is_waited_for(tmp_path):
    (tmp_path / "weights.arrow").write_bytes(b"any")
    done = run(READING.format(folder=str(tmp_path)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "read has ended\n", "")


def test_each_owner_that_lives_is_ended_whatever_the_others_do():
    done = run(OWNERS)
    assert (done.returncode, sorted(done.stdout.split("\n"))) == (
        0,
        ["", "ended bad", "ended first", "ended last"],
    )
    assert "a thread could not be ended" in done.stderr


@pytest.mark.parametrize("given", ["ram=1", "ram='1TiB'"])
def test_a_script_that_ends_as_soon_as_it_can(model, given):
    """Too little memory is an error while weights are still read; enough is no reason to wait for them."""
    for _ in range(3):
        done = run(f"from arrowmind import ArrowEngine; ArrowEngine({str(model)!r}, {given})")
        assert done.returncode == (1 if given == "ram=1" else 0), done.stderr
        assert ("MemoryBudgetError" in done.stderr) == (given == "ram=1")
