"""Launches that run as one: what is read when, what is refused, and what follows when a device fails."""

from __future__ import annotations

import gc
import struct

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import (
    DeviceError,
    DeviceLaunchError,
    DeviceLostError,
    DeviceUnsupportedError,
    InvalidArgumentError,
)
from tests.device.gpu_driver import Driver
from tests.device.machine import open_on_host, open_or_skip

COUNT = 1000


@pytest.fixture(params=["cpu", "fake", "gpu_on_host", "hip_on_host"])
def device(request, tmp_path):
    if request.param == "fake":
        request.getfixturevalue("fake")
        return _native.DeviceRegistry(str(tmp_path)).open("cuda")
    return open_or_skip("cpu") if request.param == "cpu" else open_on_host(request.param, tmp_path)


def fill(device, buffer, value):
    return (device.kernel("fill_u32"), 4, 256, [buffer], struct.pack("<II", COUNT, value))


def add(device, first, second, out):
    return (device.kernel("add_f32"), 4, 256, [first, second, out], struct.pack("<I", COUNT))


def floats(stream, buffer):
    found = np.empty(COUNT, np.float32)
    stream.copy_out(found.view(np.uint8), buffer, 0)
    stream.synchronise()
    return found


def test_launches_run_in_order_again_and_again_over_what_is_there_then(device):
    stream = device.stream()
    a, total = device.allocate(4 * COUNT), device.allocate(4 * COUNT)
    stream.copy_in(total, 0, np.zeros(4 * COUNT, np.uint8))
    graph = device.graph([add(device, a, total, total), add(device, a, total, total), fill(device, a, 0)])
    assert (device.has_graphs, graph.launches) == (True, 3)
    for value in (1, 10, 100):
        stream.copy_in(a, 0, np.full(COUNT, value, np.float32).view(np.uint8))
        stream.run(graph)
    np.testing.assert_array_equal(floats(stream, total), np.float32(222))
    np.testing.assert_array_equal(floats(stream, a), np.float32(0))


def test_any_stream_runs_it_in_the_order_of_its_own_work(device):
    first, second = device.stream(), device.stream()
    a = device.allocate(4 * COUNT)
    graph = device.graph([add(device, a, a, a)])
    first.copy_in(a, 0, np.ones(COUNT, np.float32).view(np.uint8))
    for stream in (first, second, first):
        stream.run(graph)
        stream.synchronise()
    np.testing.assert_array_equal(floats(second, a), np.float32(8))


def test_what_is_no_graph(device):
    stream, a = device.stream(), device.allocate(4 * COUNT)
    kernel, groups, threads, memory, _ = fill(device, a, 1)
    with pytest.raises(InvalidArgumentError, match="make a graph of 0 launches"):
        device.graph([])
    with pytest.raises(DeviceLaunchError, match="another number of places or bytes"):
        device.graph([fill(device, a, 1), (kernel, groups, threads, memory, b"1234")])
    with pytest.raises(InvalidArgumentError, match="at most 16 and 128"):
        device.graph([(kernel, groups, threads, [a] * 17, b"")])
    other = open_or_skip("cpu")
    with pytest.raises(InvalidArgumentError, match="a buffer of cpu:0 given to"):
        device.graph([fill(device, other.allocate(4 * COUNT), 1)])
    theirs = other.allocate(4 * COUNT)
    with pytest.raises(InvalidArgumentError, match="a graph of cpu:0 given to"):
        stream.run(other.graph([fill(other, theirs, 1)]))


def test_a_graph_that_goes_waits_for_its_work(device):
    stream, a = device.stream(), device.allocate(4 * COUNT)
    graph = device.graph([fill(device, a, 0x40000000), *[add(device, a, a, a)] * 20])
    stream.run(graph)
    del graph
    gc.collect()
    np.testing.assert_array_equal(floats(stream, a), np.float32(2 * 2**20))


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5])
def test_devices_that_make_none(fake, tmp_path, status):
    device = _native.DeviceRegistry(str(tmp_path)).open("cuda")
    a = device.allocate(4 * COUNT)
    fake.set(making=status)
    with pytest.raises(DeviceError, match=r"make a graph: .*told to make none"):
        device.graph([fill(device, a, 1)])
    assert device.is_lost == (status == 3)
    assert fake.report()["graphs"] == 0


def test_runs_that_fail(fake, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open("cuda")
    stream, a = device.stream(), device.allocate(4 * COUNT)
    graph = device.graph([fill(device, a, 0x40000000)])
    fake.set(graph=2)
    stream.run(graph)
    with pytest.raises(DeviceLaunchError, match=r"run a graph: .*told to"):
        stream.run(graph)
    np.testing.assert_array_equal(floats(stream, a), np.float32(2))
    fake.set(lost=1)
    with pytest.raises(DeviceLostError, match="fell off the bus"):
        stream.run(graph)


@pytest.mark.parametrize("backend", ["gpu_on_host", "hip_on_host"])
@pytest.mark.parametrize(("failure", "error"), [(801, DeviceUnsupportedError), (98, DeviceError)])
def test_drivers_that_make_none_ready(tmp_path, backend, failure, error):
    driver = Driver(tmp_path, backend)
    device = _native.DeviceRegistry(str(tmp_path)).open(driver.kind)
    a = device.allocate(4 * COUNT)
    driver.set(graph=failure)
    with pytest.raises(error, match=rf"told to \({failure}\)"):
        device.graph([fill(device, a, 1)])
    assert (driver.report()["graphs"], driver.report()["ready_graphs"]) == (0, 0)
    driver.set()
    stream = device.stream()
    stream.run(device.graph([fill(device, a, 0x40000000)]))
    np.testing.assert_array_equal(floats(stream, a), np.float32(2))
    assert (driver.report()["launches"], driver.report()["graph_launches"]) == (0, 1)
