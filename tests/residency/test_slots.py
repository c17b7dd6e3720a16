"""Blocks whose users ask where they lie: they take each other's places, and pages are mapped no more."""

from __future__ import annotations

import os
import random
import resource
import sys
import threading

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import IntegrityError, InvalidArgumentError

PAGE = 4096
SIZE = 64 * PAGE + 1000
"""Of a block: neighbours share pages."""
COUNT = 9
SLOT = 66 * PAGE
"""The pages that a block touches, at most."""


@pytest.fixture
def data(tmp_path):
    content = np.random.default_rng(5).integers(0, 256, COUNT * SIZE, dtype=np.uint8)
    content.tofile(tmp_path / "data")
    return tmp_path / "data", content


def opened(path, blocks, policy="farthest", *, direct=True):
    """Room for so many; block i is two ranges, one behind the other, at place i."""
    residency = _native.Residency.open(os.fsencode(path), blocks * SLOT, 3, policy, direct)
    for i in range(COUNT):
        residency.add([(i * SIZE + 500, SIZE - 500), (i * SIZE, 500)], i, asked=True)
    residency.seal()
    return residency


def read(residency, i):
    residency.acquire([i])
    try:
        return np.frombuffer(residency.held(i, i * SIZE, SIZE), np.uint8)
    finally:
        residency.release([i])


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("policy", ["farthest", "least-recent"])
def test_bytes_are_those_of_the_file_whatever_came_and_went(data, policy, direct):
    path, content = data
    residency = opened(path, 3, policy, direct=direct)
    assert residency.block_bytes() == [SLOT] * COUNT
    chance = random.Random(1)
    for _ in range(200):
        i = chance.randrange(COUNT)
        residency.prefetch([chance.randrange(COUNT)])
        np.testing.assert_array_equal(read(residency, i), content[i * SIZE : (i + 1) * SIZE])
        assert residency.counters()["resident_bytes"] <= 3 * SLOT
    assert residency.counters()["peak_bytes"] <= 3 * SLOT
    assert residency.counters()["pinned_bytes"] == 0  # shared pages are read with both


@pytest.mark.skipif(sys.platform != "linux", reason="counts faults as Linux does")
def test_memory_is_touched_for_the_first_time_once(data):
    residency = opened(data[0], 3)
    for i in range(COUNT):
        read(residency, i)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for i in [*range(COUNT)] * 4:
        residency.acquire([i])
        residency.release([i])
    assert residency.counters()["evictions"] > 4 * 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults < 64


def test_blocks_of_unlike_sizes_stay_where_the_file_has_them(data):
    path, content = data
    residency = _native.Residency.open(os.fsencode(path), COUNT * SLOT)
    residency.add([(0, SIZE)], 0, asked=True)
    residency.add([(SIZE, 3 * SIZE)], 1, asked=True)
    residency.seal()
    residency.acquire([0, 1])
    assert residency.held(1, 2 * SIZE, 100) == content[2 * SIZE :][:100].tobytes()
    np.testing.assert_array_equal(residency.view(SIZE, SIZE), content[SIZE : 2 * SIZE])
    residency.release([0, 1])


def test_beside_blocks_that_lie_where_the_file_has_them(data):
    path, content = data
    residency = _native.Residency.open(os.fsencode(path), 4 * SLOT)
    for i in range(COUNT):
        residency.add([(i * SIZE, SIZE)], i, asked=i % 2 == 0)
    residency.seal()
    chance = random.Random(3)
    for _ in range(100):
        i = chance.randrange(COUNT)
        part = slice(i * SIZE, (i + 1) * SIZE)
        residency.acquire([i])
        assert residency.held(i, i * SIZE, 1) == content[part][:1].tobytes()
        if i % 2:
            np.testing.assert_array_equal(residency.view(i * SIZE, SIZE), content[part])
        residency.release([i])
    assert residency.counters()["peak_bytes"] <= 4 * SLOT


def test_a_smaller_budget_gives_memory_back_and_a_larger_takes_it_again(data):
    path, content = data
    residency = opened(path, 6)
    for budget in (6, 2, 7):
        residency.set_budget(budget * SLOT)
        assert residency.counters()["resident_bytes"] <= budget * SLOT
        for i in range(COUNT):
            np.testing.assert_array_equal(read(residency, i), content[i * SIZE : (i + 1) * SIZE])
        assert residency.counters()["resident_bytes"] == budget * SLOT


def test_a_file_cut_short_is_an_error_and_the_rest_stays_usable(data):
    path, content = data
    residency = opened(path, 3)
    with path.open("r+b") as file:
        file.truncate(4 * SIZE)
    with pytest.raises(IntegrityError, match="shorter"):
        residency.acquire([1, 6])
    np.testing.assert_array_equal(read(residency, 1), content[SIZE : 2 * SIZE])
    content.tofile(path)
    np.testing.assert_array_equal(read(residency, 6), content[6 * SIZE : 7 * SIZE])
    assert residency.counters()["resident_bytes"] <= 3 * SLOT


def test_what_a_block_has_not_is_an_error(data):
    residency = opened(data[0], 3)
    with pytest.raises(InvalidArgumentError, match="none such"):
        residency.held(2, 2 * SIZE, 10)  # not in memory
    residency.acquire([2])
    for offset, size in ((5 * SIZE, 10), (2 * SIZE, SLOT + PAGE), (-1, 5), (0, 1 << 62)):
        with pytest.raises(InvalidArgumentError):
            residency.held(2, offset, size)
    residency.release([2])


def test_threads_share_the_places(data):
    path, content = data
    residency = opened(path, 3)
    wrong: list[int] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(80):
            wanted = sorted(chance.sample(range(COUNT), 3))
            residency.expect([chance.randrange(COUNT)])
            while wanted:
                count = residency.acquire_first(wanted)
                for i in wanted[:count]:
                    if residency.held(i, i * SIZE, SIZE) != content[i * SIZE : (i + 1) * SIZE].tobytes():
                        wrong.append(i)
                residency.release(wanted[:count])
                wanted = wanted[count:]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong
    assert residency.counters()["peak_bytes"] <= 3 * SLOT
