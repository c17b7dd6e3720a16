"""Every fault at every call of a script that uses all of a device: a clear error, and nothing is left."""

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
    DeviceMemoryError,
    DeviceUnsupportedError,
)

COUNT = 256
EARLIER = "by an earlier call"
# Status of the interface -> error and words.
FAULTS = {
    1: (DeviceMemoryError, "out of memory"),
    2: (DeviceLaunchError, "launch failed"),
    3: (DeviceLostError, "lost"),
    4: (DeviceUnsupportedError, "not supported"),
    5: (DeviceError, "failed"),
    -7: (DeviceError, "failed"),
    99: (DeviceError, "failed"),
}


def script(registry):
    """Uses each function of a device at least once; the sum of two vectors."""
    device = registry.open("cuda")
    stream, second = device.stream(), device.stream()
    event, later = device.event(), device.event()
    pinned = device.pinned(4096)
    registered = device.register_host(np.zeros(4096, np.uint8))
    free, total = device.memory()
    a, b = device.allocate(4 * COUNT), device.allocate(4 * COUNT)
    allocator = _native.CachingAllocator(device)
    sum_ = allocator.allocate(4 * COUNT, stream)
    stream.record(event)
    stream.copy_in(a, 0, np.full(COUNT, 3, np.float32).view(np.uint8))
    fill, add = device.kernel("fill_u32"), device.kernel("add_f32")
    stream.launch(fill, 1, COUNT, [b], struct.pack("<II", COUNT, 0))
    graph = device.graph(
        [
            (fill, 1, COUNT, [b], struct.pack("<II", COUNT, 0x40000000)),
            (add, 1, COUNT, [a, b, sum_], struct.pack("<I", COUNT)),
        ]
    )
    stream.run(graph)
    stream.launch(add, 1, COUNT, [a, b, sum_], struct.pack("<I", COUNT))
    stream.record(later)
    second.wait(later)
    again = device.allocate(4 * COUNT)
    second.copy_within(again, 0, sum_, 0, 4 * COUNT)
    out = np.zeros(COUNT, np.float32)
    second.copy_out(out.view(np.uint8), again, 0)
    second.synchronise()
    stream.synchronise()
    assert later.is_reached()
    assert event.nanoseconds_until(later) >= 0
    del graph, sum_
    reused = allocator.allocate(4 * COUNT, second)
    assert (pinned.bytes, reused.bytes, total >= free) == (4096, 4 * COUNT, True)
    del registered, reused
    device.memory()
    return out


def test_without_a_fault(fake, registry):
    fake.set()
    np.testing.assert_array_equal(script(registry), np.float32(5))
    gc.collect()
    assert fake.live() == {}


@pytest.mark.parametrize("status", FAULTS)
def test_every_call_may_fail(fake, registry, status):
    fake.set()
    script(registry)
    calls = fake.report()["calls"]
    assert calls > 30
    error, words = FAULTS[status]
    survived = []
    for index in range(1, calls + 1):
        fake.set(at=index, status=status)
        try:
            result = script(registry)
        except DeviceError as failure:
            assert type(failure) is error
            assert f": {words} (fake: told to fail, call {index})" in str(failure) or "earlier" in str(
                failure
            )
            assert str(failure).startswith("[cuda:0] ")
            assert "device='cpu'" in str(failure)
            failure.__traceback__ = None
        else:
            np.testing.assert_array_equal(result, np.float32(5))
            survived.append(index)
        gc.collect()
        assert fake.live() == {}, f"after a fault at call {index}"
    # The allocator needs neither of the two calls that keep a block: it gives the block back instead.
    assert len(survived) == (0 if error is DeviceLostError else 4), survived


def test_a_lost_device_stays_lost(fake, registry):
    fake.set()
    script(registry)
    calls = fake.report()["calls"]
    for index in range(1, calls + 1):
        fake.set(lost=index)
        with pytest.raises(DeviceLostError, match=r"fell off the bus|by an earlier call"):
            script(registry)
        gc.collect()
        assert fake.live() == {}, f"after a loss at call {index}"


def test_nothing_is_asked_of_a_lost_device(fake, registry):
    fake.set()
    device = registry.open("cuda")
    stream, buffer = device.stream(), device.allocate(1024)
    fake.set(lost=1)
    assert not device.is_lost
    with pytest.raises(DeviceLostError, match="fell off the bus"):
        stream.synchronise()
    assert device.is_lost
    for call in (
        device.memory,
        device.stream,
        device.event,
        stream.synchronise,
        lambda: device.allocate(1),
        lambda: stream.copy_in(buffer, 0, np.zeros(1, np.uint8)),
    ):
        with pytest.raises(DeviceLostError, match="by an earlier call"):
            call()
    assert fake.report()["calls"] == 1
    fake.set()  # it is back: opened again, it works; the old one stays lost
    np.testing.assert_array_equal(script(registry), np.float32(5))
    with pytest.raises(DeviceLostError, match="open it again"):
        device.memory()


def test_memory_runs_out_at_the_nth_allocation(fake, registry):
    fake.set(allocation=3)
    device = registry.open("cuda")
    held = [device.allocate(100), device.allocate(100)]
    with pytest.raises(DeviceMemoryError, match="allocate 100 bytes: out of memory"):
        device.allocate(100)
    held.append(device.allocate(100))
    assert fake.report()["allocations"] == len(held)


def test_the_nth_launch_fails(fake, registry):
    fake.set(launch=2)
    device = registry.open("cuda")
    stream, buffer, kernel = device.stream(), device.allocate(4), device.kernel("fill_u32")
    stream.launch(kernel, 1, 1, [buffer], struct.pack("<II", 1, 7))
    with pytest.raises(DeviceLaunchError, match="launch: launch failed"):
        stream.launch(kernel, 1, 1, [buffer], struct.pack("<II", 1, 8))
    out = np.zeros(4, np.uint8)
    stream.copy_out(out, buffer, 0)
    stream.synchronise()
    assert out.tolist() == [7, 0, 0, 0]


def test_slow_copies_keep_their_stream_busy_and_not_the_caller(fake, registry):
    fake.set(rate=1_000_000)
    device = registry.open("cuda")
    stream, other, before, after = device.stream(), device.stream(), device.event(), device.event()
    buffer, small = device.allocate(300_000), device.allocate(1)
    stream.record(before)
    stream.copy_in(buffer, 0, np.zeros(300_000, np.uint8))
    stream.record(after)
    assert not after.is_reached()
    other.copy_in(small, 0, np.zeros(1, np.uint8))
    other.synchronise()  # streams do not wait for each other
    assert not after.is_reached()
    del small  # what goes away waits for all work that may use it
    assert after.is_reached()
    assert before.nanoseconds_until(after) >= 300_000_000


def test_who_waits_for_an_event_waits_for_its_record_of_then(fake, registry):
    fake.set(rate=1_000_000)
    device = registry.open("cuda")
    slow, quick, waiting = device.stream(), device.stream(), device.stream()
    event, after = device.event(), device.event()
    buffer = device.allocate(300_000)
    slow.copy_in(buffer, 0, np.zeros(300_000, np.uint8))
    slow.record(event)
    waiting.wait(event)
    waiting.record(after)
    quick.record(event)  # a later record, reached at once, is not what `waiting` waits for
    quick.synchronise()
    assert event.is_reached()
    assert not after.is_reached()
    waiting.synchronise()
    assert after.is_reached()
