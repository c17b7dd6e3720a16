"""The back ends of CUDA and HIP over a driver that answers as it is told to."""

from __future__ import annotations

import gc
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import (
    DeviceError,
    DeviceLaunchError,
    DeviceLostError,
    DeviceMemoryError,
    DeviceUnsupportedError,
)
from tests.device.gpu_driver import Driver

ROOT = Path(__file__).parents[2]
COUNT = 300
# Failure of the driver -> error.
FAILURES = {
    1: DeviceError,  # invalid value
    2: DeviceMemoryError,
    214: DeviceLostError,  # memory error that could not be corrected
    700: DeviceLostError,  # illegal address
    701: DeviceLaunchError,  # too many resources
    719: DeviceLostError,  # a kernel failed
    801: DeviceUnsupportedError,
    999: DeviceLostError,
}


@pytest.fixture(params=["gpu_on_host", "hip_on_host"])
def driver(request, tmp_path):
    """A driver, all of whose resources were given back at the end."""
    made = Driver(tmp_path, request.param)
    gc.collect()
    before = made.live()  # other tests of this process may hold a device of the same driver
    yield made
    gc.collect()
    assert made.live() == before
    made.set()


def probe(driver, folder, **settings):
    driver.set(**settings)
    found = _native.DeviceRegistry(str(folder)).probe(driver.kind)
    return found["availability"], found["words"]


def test_what_the_probe_tells(driver, tmp_path):
    old = 12080 if driver.kind == "cuda" else 39900000
    versions = ("12.8", "13.0") if driver.kind == "cuda" else ("3.99", "4.1")
    availability, words = probe(driver, tmp_path, version=old)
    assert availability == "driver-too-old"
    assert words == f"the driver serves version {versions[0]}, at least {versions[1]} is needed"
    assert probe(driver, tmp_path, devices=0)[0] == "no-device"
    none = "no-device" if driver.kind == "rocm" else "probe-failed"  # HIP says so where there is none
    assert probe(driver, tmp_path, start=101)[0] == none
    assert probe(driver, tmp_path, start=3) == ("probe-failed", "the driver does not start: told to (3)")
    found = probe(driver, tmp_path)  # asked anew: a driver may come while a process runs
    assert found == ("usable", "")
    row = _native.DeviceRegistry(str(tmp_path)).probe(driver.kind)["devices"][0]
    assert row["name"] == "fibers 0"
    assert row["driver"] == ("CUDA 13.0" if driver.kind == "cuda" else "HIP 5.2")
    assert row["architecture"] == ("sm_90" if driver.kind == "cuda" else "gfx 9.0")
    assert (row["total_bytes"], row["alignment_bytes"]) == (1 << 30, 256)


def script(registry, driver):
    """Uses each function; gives the sum of two vectors, and how many calls could fail until then."""
    device = registry.open(driver.kind)
    stream, event, later = device.stream(), device.event(), device.event()
    pinned, registered = device.pinned(64), device.register_host(np.zeros(64, np.uint8))
    a, out = device.allocate(4 * COUNT), device.allocate(4 * COUNT)
    device.memory()
    stream.record(event)
    stream.copy_in(a, 0, np.full(COUNT, 3, np.float32).view(np.uint8))
    fill, add = device.kernel("fill_u32"), device.kernel("add_f32")
    stream.launch(fill, 2, 256, [out], struct.pack("<II", COUNT, 0))
    graph = device.graph(
        [
            (fill, 2, 256, [out], struct.pack("<II", COUNT, 0x3F800000)),
            (add, 2, 256, [a, out, out], struct.pack("<I", COUNT)),
        ]
    )
    stream.run(graph)
    stream.launch(add, 2, 256, [a, out, out], struct.pack("<I", COUNT))
    stream.record(later)
    stream.wait(later)
    result = np.zeros(COUNT, np.float32)
    stream.copy_out(result.view(np.uint8), out, 0)
    stream.synchronise()
    assert later.is_reached()
    assert event.nanoseconds_until(later) >= 0
    calls = driver.report()["calls"]
    del pinned, registered
    return result, calls


# Both drivers number their failures alike.
@pytest.mark.parametrize(
    ("driver", "failure"),
    [*(("gpu_on_host", failure) for failure in FAILURES), ("hip_on_host", 2), ("hip_on_host", 719)],
    indirect=["driver"],
)
def test_every_call_may_fail(driver, tmp_path, failure):
    registry = _native.DeviceRegistry(str(tmp_path))
    gc.collect()
    idle = driver.live()
    driver.set()
    result, calls = script(registry, driver)
    np.testing.assert_array_equal(result, np.float32(7))
    assert calls > 20
    for index in range(1, calls + 1):
        driver.set(call=index, failure=failure, sticky=1)
        with pytest.raises(DeviceError, match=rf"told to \({failure}\)|by an earlier call") as caught:
            script(registry, driver)
        # What does not make a device useless is a failed launch where something was launched.
        assert caught.type in (FAILURES[failure], DeviceLaunchError)
        caught = None
        gc.collect()
        assert driver.live() == idle, f"after a failure of call {index}"


def test_nothing_is_asked_of_a_lost_device(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open(driver.kind)
    stream = device.stream()
    driver.set(call=1, failure=700)
    with pytest.raises(DeviceLostError):
        stream.synchronise()
    driver.set()
    with pytest.raises(DeviceLostError):
        stream.synchronise()
    assert driver.report()["calls"] == 0
    again = _native.DeviceRegistry(str(tmp_path)).open(driver.kind)
    assert again.memory()[1] == 1 << 30


def names_of_kernels():
    """Those of csrc/device/gpu/kernels.inc."""
    rows = (ROOT / "csrc/device/gpu/kernels.inc").read_text()
    names = re.findall(r"^KERNEL\((\w+),", rows, re.MULTILINE)
    linear = re.findall(r"^LINEAR\((\w+),", rows, re.MULTILINE)
    linear += [f"{name}_grouped" for name in re.findall(r"^GROUPED\((\w+),", rows, re.MULTILINE)]
    mixed = [f"linear_bf16_{name}" for name in re.findall(r"^MIXED\((\w+)\)", rows, re.MULTILINE)]
    mixed += [f"{name}_grouped" for name in mixed]
    return names + linear + [f"{name}_few" for name in linear] + mixed


def test_every_row_has_its_kernel(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open(driver.kind)
    names = names_of_kernels()
    assert len(names) == len({device.kernel(name) for name in names}) > 50


def test_large_tiles_are_for_tensor_cores(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open(driver.kind)
    if driver.kind == "cuda":
        assert device.kernel("linear_bf16_i4g_wide") != device.kernel("linear_bf16_i4g")
    else:
        with pytest.raises(DeviceUnsupportedError, match="without instructions for bfloat16"):
            device.kernel("linear_bf16_i4g_wide")


def test_launches_that_no_kernel_is_made_for(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open(driver.kind)
    stream, buffer = device.stream(), device.allocate(4096)
    kernel = device.kernel("fill_u32")
    with pytest.raises(DeviceLaunchError, match="another number of places or bytes of parameters"):
        stream.launch(kernel, 1, 32, [buffer], b"1234")
    with pytest.raises(DeviceLaunchError, match="another group"):
        stream.launch(kernel, 1, 1025, [buffer], struct.pack("<II", 1, 1))
    with pytest.raises(DeviceLaunchError, match="another group"):
        stream.launch(device.kernel("pool"), 1, 64, [buffer] * 3, bytes(24))


def test_more_memory_than_there_is(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open(driver.kind)
    held = device.allocate(900 << 20)
    with pytest.raises(DeviceMemoryError, match=r"told to \(2\)"):
        device.allocate(200 << 20)
    with pytest.raises(DeviceMemoryError, match="more than the device has"):
        device.allocate(2 << 30)
    assert held.bytes == 900 << 20


def test_memory_that_may_not_be_written_is_registered(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open(driver.kind)
    driver.set(read_only=1)
    registered = device.register_host(memoryview(bytes(4096)))
    assert driver.live()["registered"] == 1
    del registered


def test_without_a_driver():
    """The back end as it is shipped, where this build has it."""
    code = "from arrowmind import _native; print(_native.DeviceRegistry().probe('cuda'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert any(word in found for word in ("not-built", "no-driver", "no-device", "driver-too-old", "usable"))
