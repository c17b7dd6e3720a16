"""Work on the threads of an OpenMP runtime that somebody else has loaded."""

from __future__ import annotations

import ctypes
import ctypes.util
import subprocess
import sys

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, KernelError
from arrowmind.weights.tensor import int8_tensor

N, K, ROWS = 515, 300, 600


@pytest.fixture(scope="module")
def parallel():
    name = ctypes.util.find_library("gomp")
    if name is None:
        pytest.skip("no libgomp on this machine")
    return ctypes.cast(ctypes.CDLL(name).GOMP_parallel, ctypes.c_void_p).value


@pytest.fixture
def layer(rng):
    codes = rng.integers(-127, 128, (N, K)).astype(np.int8)
    tensor = int8_tensor("a.weight", codes, rng.uniform(0.001, 0.01, N).astype(np.float32))
    return {
        "type": "int8",
        "shape": (N, K),
        "codes": tensor.codes,
        "scales": tensor.scales,
        "zero_points": None,
        "sums": tensor.sums,
        "bias": None,
    }


def run(layer, x, threads):
    out = np.full((len(x), N), np.nan, np.float32)
    _native.linear_run(layer, x, out, threads, "int8")
    return out


@pytest.mark.parametrize("rows", [1, 40, ROWS])
def test_the_bits_of_our_own_threads(parallel, layer, rng, rows):
    x = rng.standard_normal((rows, K)).astype(np.float32)
    wanted = run(layer, x, _native.ThreadPool(1))
    for threads in (1, 2, 5):
        team = _native.OpenMpTeam(parallel, threads)
        assert team.threads == threads
        np.testing.assert_array_equal(run(layer, x, team), wanted)


def test_an_error_comes_out_of_the_region(parallel, layer, rng, monkeypatch):
    # No kernel at all: what fails is the choice, on whichever thread makes it.
    x = rng.standard_normal((ROWS, K)).astype(np.float32)
    monkeypatch.setenv("ARROWMIND_KERNEL", "nothing")
    _native.reload_environment()
    try:
        with pytest.raises(Exception, match="no kernel is called 'nothing'") as failure:
            run(layer, x, _native.OpenMpTeam(parallel, 3))
        assert not isinstance(failure.value, KernelError | SystemError)
    finally:
        monkeypatch.undo()
        _native.reload_environment()
    run(layer, x, _native.OpenMpTeam(parallel, 3))


def test_a_forked_child_works_alone(parallel):
    # GNU's runtime hangs there as soon as its threads are asked for.
    code = """
import ctypes, ctypes.util, os, sys
import numpy as np
from arrowmind import _native
team = _native.OpenMpTeam(ctypes.cast(ctypes.CDLL(ctypes.util.find_library("gomp")).GOMP_parallel,
                                      ctypes.c_void_p).value, 2)
weights = np.ones((512, 512), np.float32)
layer = {"type": "fp32", "shape": (512, 512), "codes": _native.qmatmul_pack("fp32", weights),
         "scales": None, "zero_points": None, "sums": None, "bias": None}
def run():
    out = np.empty((256, 512), np.float32)
    _native.linear_run(layer, np.ones((256, 512), np.float32), out, team)
    return bool((out == 512).all())
print(run(), flush=True)
child = os.fork()
if child == 0:
    print(run(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(run())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\nTrue\nTrue\n"


def test_what_is_no_team():
    with pytest.raises(InvalidArgumentError, match="without GOMP_parallel"):
        _native.OpenMpTeam(0, 2)
    with pytest.raises(InvalidArgumentError, match="threads=0 is out of range"):
        _native.OpenMpTeam(1, 0)
