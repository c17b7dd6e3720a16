"""Memory kept for the next request: by class, within limits, given back when it is short."""

from __future__ import annotations

import gc
import random
import threading

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import DeviceError, DeviceLostError, DeviceMemoryError, InvalidArgumentError

MIB = 1 << 20


@pytest.fixture
def device(fake, registry):
    fake.set()
    return registry.open("cuda")


def test_the_same_class_is_reused(device, fake):
    allocator, stream = _native.CachingAllocator(device), device.stream()
    block = allocator.allocate(1000, stream)
    assert (block.bytes, block.reserved_bytes) == (1000, 1024)
    del block
    block = allocator.allocate(1024, stream)
    counters = allocator.counters()
    assert block.reserved_bytes == 1024
    assert (counters["requests"], counters["reused"]) == (2, 1)
    assert (counters["in_use_bytes"], counters["reserved_bytes"]) == (1024, 1024)
    assert fake.report()["allocations"] == 1
    assert allocator.allocate(1025, stream).reserved_bytes == 1536


@pytest.mark.parametrize("size", [1, 511, 512, 513, 4096, 5000, 123_457, MIB + 1, 3 * MIB - 7])
def test_classes_waste_an_eighth_at_most(device, size):
    block = _native.CachingAllocator(device).allocate(size, device.stream())
    assert size <= block.reserved_bytes < size + max(512, size / 8 + 1)


def test_a_full_device_gets_back_what_was_kept(device, fake):
    fake.set(memory=10 * MIB)
    allocator, stream = _native.CachingAllocator(device), device.stream()
    blocks = [allocator.allocate(MIB, stream) for _ in range(8)]
    blocks.clear()
    assert allocator.counters()["reserved_bytes"] == 8 * MIB
    large = allocator.allocate(9 * MIB, stream)
    counters = allocator.counters()
    assert (counters["trims"], counters["retries"], counters["failures"]) == (1, 1, 0)
    assert counters["reserved_bytes"] == counters["in_use_bytes"] == large.reserved_bytes
    assert counters["peak_in_use_bytes"] == counters["peak_reserved_bytes"] == 9 * MIB
    with pytest.raises(DeviceMemoryError, match="out of memory"):
        allocator.allocate(2 * MIB, stream)
    assert allocator.counters()["failures"] == 1
    del large
    assert allocator.allocate(2 * MIB, stream).bytes == 2 * MIB  # it goes on


def test_the_limit_is_kept(device, fake):
    allocator, stream = _native.CachingAllocator(device, 4 * MIB), device.stream()
    blocks = [allocator.allocate(MIB, stream) for _ in range(4)]
    calls = fake.report()["calls"]
    with pytest.raises(DeviceMemoryError, match=f"limit {4 * MIB}, of which {4 * MIB} are in use"):
        allocator.allocate(1, stream)
    assert fake.report()["calls"] == calls  # the driver was not asked
    blocks.clear()
    assert allocator.allocate(3 * MIB, stream).bytes == 3 * MIB
    assert allocator.counters()["peak_reserved_bytes"] == 4 * MIB


def test_trim_gives_back_on_demand(device, fake):
    allocator, stream = _native.CachingAllocator(device), device.stream()
    for size in (MIB, 2 * MIB, 4 * MIB):
        allocator.allocate(size, stream)
    assert fake.report()["bytes"] == 7 * MIB
    allocator.trim(3 * MIB)
    assert fake.report()["bytes"] == allocator.counters()["reserved_bytes"] == 3 * MIB
    allocator.trim()
    assert fake.report()["bytes"] == allocator.counters()["reserved_bytes"] == 0


def test_another_stream_waits_for_the_work_of_the_first(device):
    allocator, first, second = _native.CachingAllocator(device), device.stream(), device.stream()
    size = 4 * MIB
    for value in range(10):
        block = allocator.allocate(size, first)
        out = np.zeros(size, np.uint8)
        first.copy_in(block, 0, np.full(size, value, np.uint8))
        first.copy_out(out, block, 0)
        del block
        other = allocator.allocate(size, second)  # the same memory, while `first` may still work on it
        second.copy_in(other, 0, np.full(size, 255, np.uint8))
        first.synchronise()
        assert (out == value).all()
        second.synchronise()
        del other
    assert allocator.counters()["reused"] == 19


def test_blocks_outlive_their_allocator(device, fake):
    stream = device.stream()
    allocator = _native.CachingAllocator(device)
    block = allocator.allocate(1000, stream)
    del allocator, stream
    gc.collect()
    assert fake.report()["allocations"] == 1
    del block
    assert fake.report()["allocations"] == 0


@pytest.mark.parametrize("size", [0, -1, 2**57, 2**63 - 1])
def test_sizes_that_are_none(device, size):
    with pytest.raises(InvalidArgumentError, match="allocate"):
        _native.CachingAllocator(device).allocate(size, device.stream())


def test_bad_limits_and_streams(device, registry):
    with pytest.raises(InvalidArgumentError, match="limit -1"):
        _native.CachingAllocator(device, -1)
    with pytest.raises(InvalidArgumentError, match="another device"):
        _native.CachingAllocator(device).allocate(1, registry.open("cpu").stream())


def churn(device, seed=3):
    allocator, chance = _native.CachingAllocator(device), random.Random(seed)
    streams = [device.stream(), device.stream()]
    held = []
    for _ in range(24):
        if held and chance.random() < 0.5:
            held.pop(chance.randrange(len(held)))
        else:
            held.append(allocator.allocate(chance.choice([700, 5000, 90_000]), chance.choice(streams)))
    return allocator, held


@pytest.mark.parametrize("status", [1, 2, 3, 5])
def test_faults_at_every_call_leak_nothing(device, fake, status):
    fake.set()
    base = fake.live()
    churn(device)
    calls = fake.report()["calls"]
    opened = device
    for index in range(1, calls + 1):
        if opened.is_lost:
            opened = _native.DeviceRegistry(str(fake.folder)).open("cuda")
        fake.set(at=index, status=status)
        try:
            allocator, held = churn(opened)
        except DeviceError as failure:
            failure.__traceback__ = None
        else:
            assert allocator.counters()["in_use_bytes"] == sum(block.reserved_bytes for block in held)
            del held
            assert allocator.counters()["in_use_bytes"] == 0
            assert allocator.counters()["reserved_bytes"] == fake.live().get("bytes", 0)
            del allocator
        gc.collect()
        live = {name: count for name, count in fake.live().items() if name != "devices"}
        assert live == {name: count for name, count in base.items() if name != "devices"}, index


def test_a_lost_device_keeps_nothing(device, fake):
    allocator, stream = _native.CachingAllocator(device), device.stream()
    block = allocator.allocate(MIB, stream)
    fake.set(lost=1)
    with pytest.raises(DeviceLostError):
        stream.synchronise()
    del block
    assert fake.report()["bytes"] == 0
    assert allocator.counters()["reserved_bytes"] == 0
    with pytest.raises(DeviceLostError):
        allocator.allocate(1, stream)


def test_many_threads_within_a_limit(device, fake):
    allocator = _native.CachingAllocator(device, 8 * MIB)
    refused = []

    def work(seed):
        chance, stream = random.Random(seed), device.stream()
        for _ in range(50):
            try:
                allocator.allocate(chance.randrange(1, 2 * MIB), stream)
            except DeviceMemoryError:
                refused.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counters = allocator.counters()
    assert counters["in_use_bytes"] == 0
    assert counters["peak_reserved_bytes"] <= 8 * MIB
    assert counters["requests"] == 400
    assert counters["failures"] == len(refused)
    assert fake.report()["bytes"] == counters["reserved_bytes"]
