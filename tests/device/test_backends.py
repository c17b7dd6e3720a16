"""What every back end does, proven on the cpu device, on the fake one and on those that this machine has."""

from __future__ import annotations

import gc
import struct
import threading

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import DeviceError, DeviceMemoryError, InvalidArgumentError
from tests.device.fake import install
from tests.device.machine import OWN_KINDS, open_on_host, open_or_skip

KIB = 1024


@pytest.fixture(params=["cpu", "fake", *OWN_KINDS, "gpu_on_host", "hip_on_host", "metal_on_host"])
def device(request, tmp_path):
    if request.param == "fake":
        install("fake", tmp_path)
        return _native.DeviceRegistry(str(tmp_path)).open("cuda")
    if request.param.endswith("_on_host"):
        return open_on_host(request.param, tmp_path)
    return open_or_skip(request.param)


def read(stream, buffer, size, offset=0):
    out = np.empty(size, np.uint8)
    stream.copy_out(out, buffer, offset)
    stream.synchronise()
    return out


def test_what_is_copied_in_comes_out(device):
    data = np.random.default_rng(1).integers(0, 256, 100_003, dtype=np.uint8)
    stream, buffer = device.stream(), device.allocate(100_100)
    stream.copy_in(buffer, 97, data)
    np.testing.assert_array_equal(read(stream, buffer, len(data), 97), data)
    other = device.allocate(len(data))
    stream.copy_within(other, 3, buffer, 100, 5000)
    np.testing.assert_array_equal(read(stream, other, 5000, 3), data[3:5003])


def test_kernels_run_in_the_order_of_the_stream(device):
    stream, count = device.stream(), 5000
    a, b, out = (device.allocate(4 * count) for _ in range(3))
    fill, add = device.kernel("fill_u32"), device.kernel("add_f32")
    one = struct.unpack("<I", struct.pack("<f", 1.0))[0]
    for memory in (a, b):
        stream.launch(fill, 20, 256, [memory], struct.pack("<II", count, one))
    for _ in range(10):  # doubles
        stream.launch(add, 20, 256, [a, b, out], struct.pack("<I", count))
        stream.copy_within(a, 0, out, 0, 4 * count)
        stream.copy_within(b, 0, out, 0, 4 * count)
    np.testing.assert_array_equal(read(stream, out, 4 * count).view(np.float32), np.float32(1024))


def test_a_stream_waits_for_an_event_of_another(device):
    first, second, event = device.stream(), device.stream(), device.event()
    size = 4_000_000
    a, b = device.allocate(size), device.allocate(size)
    for value in range(20):
        first.copy_in(a, 0, np.full(size, value, np.uint8))
        first.record(event)
        second.wait(event)
        second.copy_within(b, 0, a, 0, size)
        second.record(event)
        first.wait(event)  # before `a` is written again
        assert (read(second, b, size) == value).all()


def test_events_tell_whether_and_when(device):
    stream, before, after = device.stream(), device.event(), device.event()
    assert before.is_reached()  # never recorded
    with pytest.raises(DeviceError, match="never recorded"):
        before.nanoseconds_until(after)
    stream.record(before)
    buffer = device.allocate(1 << 20)
    stream.copy_in(buffer, 0, np.zeros(1 << 20, np.uint8))
    stream.record(after)
    stream.synchronise()
    assert before.is_reached()
    assert after.is_reached()
    assert before.nanoseconds_until(after) > 0


def test_resources_may_go_in_any_order(device):
    stream, event, buffer = device.stream(), device.event(), device.allocate(1 << 22)
    out = np.zeros(1 << 22, np.uint8)
    stream.copy_in(buffer, 0, np.full(1 << 22, 7, np.uint8))
    stream.copy_out(out, buffer, 0)
    stream.record(event)
    del buffer, event  # their work is still under way
    del device
    gc.collect()
    stream.synchronise()
    assert (out == 7).all()


@pytest.mark.parametrize("size", [0, -1, -(2**62)])
def test_sizes_that_are_none(device, size):
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        device.allocate(size)
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        device.pinned(size)


@pytest.mark.parametrize("size", [2**50, 2**62, 2**63 - 1])
def test_more_than_there_is(device, size):
    with pytest.raises(DeviceMemoryError, match=rf"allocate {size} bytes: out of memory"):
        device.allocate(size)


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (0, 1025), (1024, 1), (2**62, 1), (1, 1024)])
def test_copies_stay_within_their_buffer(device, offset, size):
    stream, buffer = device.stream(), device.allocate(KIB)
    memory = np.zeros(size, np.uint8)
    for copy in (
        lambda: stream.copy_in(buffer, offset, memory),
        lambda: stream.copy_out(memory, buffer, offset),
        lambda: stream.copy_within(buffer, offset, buffer, 0, size),
    ):
        with pytest.raises(InvalidArgumentError, match=r"of a buffer of 1024|overlap"):
            copy()


def test_copies_within_a_buffer_do_not_overlap(device):
    stream, buffer = device.stream(), device.allocate(KIB)
    with pytest.raises(InvalidArgumentError, match="overlap"):
        stream.copy_within(buffer, 0, buffer, 10, 11)
    stream.copy_within(buffer, 0, buffer, 10, 10)
    stream.synchronise()


def test_launches_that_do_not_fit(device):
    stream, buffer = device.stream(), device.allocate(KIB)
    with pytest.raises(DeviceError, match=r"find kernel 'nothing': not supported"):
        device.kernel("nothing")
    kernel = device.kernel("fill_u32")
    with pytest.raises(DeviceError, match="launch: launch failed"):
        stream.launch(kernel, 1, 1, [buffer, buffer], struct.pack("<II", 1, 1))
    with pytest.raises(InvalidArgumentError, match="17 slices"):
        stream.launch(kernel, 1, 1, [buffer] * 17, b"")
    with pytest.raises(InvalidArgumentError, match="129 bytes"):
        stream.launch(kernel, 1, 1, [buffer], b"x" * 129)


def test_what_belongs_to_another_device_is_refused(device, registry):
    other = registry.open("cpu")
    stream = device.stream()
    with pytest.raises(InvalidArgumentError, match="another device"):
        stream.copy_in(other.allocate(KIB), 0, np.zeros(1, np.uint8))
    with pytest.raises(InvalidArgumentError, match="another device"):
        stream.record(other.event())
    with pytest.raises(InvalidArgumentError, match="another device"):
        stream.wait(other.event())


def test_host_memory(device):
    assert device.pinned(KIB).bytes == KIB
    if device.name.startswith(("vulkan", "mps")):
        with pytest.raises(DeviceError, match="not supported"):
            device.register_host(np.zeros(KIB, np.uint8))
    else:
        registered = device.register_host(np.zeros(KIB, np.uint8))
        del registered
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        device.register_host(np.zeros(0, np.uint8))


def test_memory_is_told(device):
    free, total = device.memory()
    assert 0 <= free <= total
    assert device.info()["total_bytes"] == total


def test_many_threads(device):
    failures = []

    def work(seed):
        data = np.random.default_rng(seed).integers(0, 256, 10_000, dtype=np.uint8)
        stream = device.stream()
        for _ in range(20):
            buffer = device.allocate(len(data))
            stream.copy_in(buffer, 0, data)
            if not np.array_equal(read(stream, buffer, len(data)), data):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
