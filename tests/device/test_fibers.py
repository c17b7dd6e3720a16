"""What runs kernels as C++ tells of those that are wrong, and runs those that are right."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from tests.device.fake import BACKENDS

DRIVER = str(BACKENDS / "gpu_on_host_driver.so")


def run(name, count, *, backward=0):
    """What a kernel of backends/on_host/faulty.cu writes, started by the driver's own functions."""
    driver = ctypes.CDLL(DRIVER)
    driver.arrowmind_driver_set(f"backward={backward}".encode())
    function, out = ctypes.c_void_p(), np.full(count, 77, np.uint32)
    assert driver.cuModuleGetFunction(ctypes.byref(function), None, f"arrowmind_{name}".encode()) == 0
    address = ctypes.c_uint64(out.ctypes.data)
    arguments = (ctypes.c_void_p * 1)(ctypes.addressof(address))
    assert driver.cuLaunchKernel(function, 1, 1, 1, 64, 1, 1, 0, None, arguments, None) == 0
    driver.arrowmind_driver_set(b"")
    return out


def test_a_missing_barrier_shows_in_the_other_order():
    assert not np.array_equal(run("without_a_barrier", 64), run("without_a_barrier", 64, backward=1))
    for backward in (0, 1):
        np.testing.assert_array_equal(run("with_a_barrier", 64, backward=backward), np.arange(1, 65))


def test_memory_of_a_group_is_nothing_before_it_is_written():
    assert run("without_a_barrier", 64)[0] == 0xFFFFFFFF


@pytest.mark.parametrize("backward", [0, 1])
def test_what_a_warp_does_together(backward):
    found = run("sums", 128, backward=backward)
    np.testing.assert_array_equal(found[:64], np.repeat([496, 496 + 32 * 32], 32))
    # Columns 2 t of 32 ones by what lanes 4 g to 4 g + 3 hold as column g: each number once.
    lanes = np.arange(32)
    columns = lanes.reshape(8, 4).sum(axis=1)
    np.testing.assert_array_equal(found[64:96], columns[2 * (lanes % 4)])


def test_threads_that_do_not_come():
    code = f"from tests.device import test_fibers; test_fibers.run('half_a_warp', 64)  # {DRIVER}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode < 0
    assert "wait for others that do not come" in found.stderr
