"""Blocks of a file within a budget of memory: what comes, what goes, and what stays when reads fail."""

from __future__ import annotations

import itertools
import os
import random
import resource
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import IntegrityError, InvalidArgumentError, MemoryBudgetError

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096
BLOCK = 64 * PAGE
COUNT = 9


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, np.ndarray]:
    path = tmp_path / "data"
    content = np.random.default_rng(7).integers(0, 256, COUNT * BLOCK + 1234, dtype=np.uint8)
    content.tofile(path)
    return path, content


def opened(path: Path, blocks: int, policy: str = "farthest", *, direct: bool = True) -> _native.Residency:
    """A budget of so many blocks; block i is at place i."""
    residency = _native.Residency.open(os.fsencode(path), blocks * BLOCK, 3, policy, direct)
    for i in range(COUNT):
        assert residency.add([(i * BLOCK, BLOCK)], i) == i
    residency.seal()
    return residency


def read(residency: _native.Residency, i: int) -> np.ndarray:
    residency.acquire([i])
    try:
        return residency.view(i * BLOCK, BLOCK).copy()
    finally:
        residency.release([i])


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("policy", ["farthest", "least-recent"])
def test_bytes_are_those_of_the_file_whatever_came_and_went(data, policy, direct):
    path, content = data
    residency = opened(path, 3, policy, direct=direct)
    chance = random.Random(1)
    for _ in range(200):
        i = chance.randrange(COUNT)
        residency.prefetch([chance.randrange(COUNT)])
        np.testing.assert_array_equal(read(residency, i), content[i * BLOCK : (i + 1) * BLOCK])
        assert residency.counters()["resident_bytes"] <= 3 * BLOCK
    counters = residency.counters()
    assert counters["peak_bytes"] <= 3 * BLOCK
    assert counters["hits"] + counters["late"] + counters["misses"] == 200


@pytest.mark.skipif(sys.platform != "linux", reason="memory is handed on by mremap")
def test_memory_of_what_went_is_that_of_what_comes(tmp_path):
    size, count = 8 << 20, 5
    content = np.random.default_rng(2).integers(0, 256, count * size, dtype=np.uint8)
    content.tofile(tmp_path / "data")
    residency = _native.Residency.open(os.fsencode(tmp_path / "data"), 2 * size + PAGE, 3)
    for i in range(count):
        residency.add([(i * size + 512 * i, size - 1024 * count)], i)  # borders that no pages share
    residency.seal()

    def use(i):
        begin = i * size + 512 * i
        residency.acquire([i])
        found = residency.view(begin, size - 1024 * count)
        assert found[0] == content[begin]
        assert found[-1] == content[begin + found.size - 1]
        residency.release([i])

    for i in (0, 1):
        use(i)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for i in [*range(count)] * 4:
        use(i)
    counters = residency.counters()
    pages = counters["evictions"] * size // PAGE
    assert counters["evictions"] > 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults < pages / 20
    assert counters["peak_bytes"] <= 2 * size + PAGE


def test_memory_that_nothing_takes_goes_back_with_the_budget(data):
    residency = opened(data[0], 6)
    for i in range(COUNT):
        read(residency, i)
    residency.set_budget(2 * BLOCK)
    assert residency.counters()["resident_bytes"] <= 2 * BLOCK
    np.testing.assert_array_equal(read(residency, 0), data[1][:BLOCK])


def test_rounds_keep_what_is_needed_soonest(data):
    found = {}
    for policy in ("farthest", "least-recent"):
        residency = opened(data[0], 5, policy)
        for _ in range(10):
            for i in range(COUNT):
                read(residency, i)
        found[policy] = residency.counters()["hits"]
    assert found["least-recent"] == 0  # a round longer than the memory always finds the oldest gone
    assert found["farthest"] >= 9 * 3  # of 9 blocks 4 stay, once the rounds are known


def test_used_parts_stay_before_unused_ones(data):
    residency = _native.Residency.open(os.fsencode(data[0]), 4 * BLOCK)
    for i in range(COUNT):
        residency.add([(i * BLOCK, BLOCK)], i // 8)  # eight alternatives at one place, one at the next
    residency.seal()
    chance = random.Random(3)
    for _ in range(60):
        read(residency, 0 if chance.random() < 0.9 else chance.randrange(1, 8))
        read(residency, 8)
    counters = residency.counters()
    assert counters["hits"] > 100


def test_what_was_copied_elsewhere_gives_way_first(data):
    residency = opened(data[0], 5)
    for i in (6, 7):
        read(residency, i)
    residency.retire([6, 7])
    for _ in range(3):
        for i in range(5):
            read(residency, i)
    counters = residency.counters()
    assert (counters["misses"], counters["evictions"]) == (2 + 5, 2)
    np.testing.assert_array_equal(read(residency, 6), data[1][6 * BLOCK : 7 * BLOCK])


def test_read_ahead_is_used(data):
    residency = opened(data[0], 4)
    for _ in range(5):
        for i in range(COUNT):
            residency.acquire([i])
            residency.prefetch([(i + 1) % COUNT])
            residency.release([i])
    counters = residency.counters()
    assert counters["misses"] == 1
    assert counters["prefetched"] > 20
    assert counters["wasted"] == 0


def test_pages_of_two_blocks_are_always_there(data):
    path, content = data
    residency = _native.Residency.open(os.fsencode(path), 5 * BLOCK)
    first = residency.add([(100, BLOCK)], 0)
    second = residency.add([(100 + BLOCK, BLOCK), (5 * BLOCK + 7, 3)], 1)
    residency.pin(5 * BLOCK + 10, 100)
    residency.seal()
    assert residency.counters()["pinned_bytes"] == 2 * PAGE
    for block, begin, size in ((first, 100, BLOCK), (second, 100 + BLOCK, BLOCK), (second, 5 * BLOCK + 7, 3)):
        residency.acquire([block])
        np.testing.assert_array_equal(residency.view(begin, size), content[begin : begin + size])
        residency.release([block])
    np.testing.assert_array_equal(residency.view(5 * BLOCK + 10, 100), content[5 * BLOCK + 10 :][:100])


@pytest.mark.parametrize("seed", range(12))
def test_ranges_at_any_place_are_there_with_their_block(data, seed):
    path, content = data
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, 20 * PAGE), 40))
    ranges = [(begin, end - begin) for begin, end in itertools.pairwise(cuts)]
    chance.shuffle(ranges)
    residency = _native.Residency.open(os.fsencode(path), 64 * PAGE)
    pinned, blocks = ranges[:6], [ranges[6 + i :: 5] for i in range(5)]
    for offset, size in pinned:
        residency.pin(offset, size)
    for place, block in enumerate(blocks):
        residency.add(block, place)
    residency.seal()
    for number, block in enumerate(blocks):
        residency.acquire([number])
        for offset, size in (*block, *pinned):
            np.testing.assert_array_equal(residency.view(offset, size), content[offset : offset + size])
        residency.release([number])


def test_blocks_that_overlap_are_refused(data):
    residency = _native.Residency.open(os.fsencode(data[0]), 9 * BLOCK)
    residency.add([(0, 2 * BLOCK)], 0)
    residency.add([(BLOCK, BLOCK)], 1)
    with pytest.raises(InvalidArgumentError, match="overlap"):
        residency.seal()


def test_a_budget_too_small_says_what_is_needed(data):
    residency = _native.Residency.open(os.fsencode(data[0]), BLOCK - 1)
    residency.add([(0, BLOCK)], 0)
    with pytest.raises(MemoryBudgetError, match=str(BLOCK)):
        residency.seal()
    residency = opened(data[0], 2)
    with pytest.raises(MemoryBudgetError, match="together"):
        residency.acquire([0, 1, 2])
    read(residency, 0)


def test_a_smaller_budget_gives_memory_back(data):
    residency = opened(data[0], 6)
    for i in range(6):
        read(residency, i)
    residency.set_budget(2 * BLOCK)
    assert residency.counters()["resident_bytes"] <= 2 * BLOCK
    with pytest.raises(MemoryBudgetError):
        residency.set_budget(BLOCK - 1)


def test_a_file_cut_short_is_an_error_and_the_rest_stays_usable(data):
    path, content = data
    residency = opened(path, 3)
    with path.open("r+b") as file:
        file.truncate(4 * BLOCK)
    with pytest.raises(IntegrityError, match="shorter"):
        residency.acquire([1, 6])
    np.testing.assert_array_equal(read(residency, 1), content[BLOCK : 2 * BLOCK])
    content.tofile(path)
    np.testing.assert_array_equal(read(residency, 6), content[6 * BLOCK : 7 * BLOCK])


def test_a_removed_file_stays_readable(data):
    path, content = data
    residency = opened(path, 2)
    path.unlink()
    np.testing.assert_array_equal(read(residency, 8), content[8 * BLOCK : 9 * BLOCK])


def test_the_first_are_given_while_others_are_read(data):
    residency = opened(data[0], 4)
    wanted, given = list(range(8)), []
    while wanted:
        count = residency.acquire_first(wanted)
        assert 1 <= count <= 4
        given += wanted[:count]
        residency.release(wanted[:count])
        wanted = wanted[count:]
    assert given == list(range(8))
    counters = residency.counters()
    assert counters["misses"] + counters["hits"] + counters["late"] == 8


def test_the_first_takes_the_place_of_others_that_are_wanted(data):
    residency = opened(data[0], 2)
    read(residency, 1)
    read(residency, 2)
    wanted = [0, 1, 2]
    while wanted:
        count = residency.acquire_first(wanted)
        residency.release(wanted[:count])
        wanted = wanted[count:]
    assert residency.counters()["peak_bytes"] <= 2 * BLOCK


def test_threads_that_want_several_share_a_budget(data):
    path, content = data
    residency = opened(path, 2)
    wrong: list[int] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            wanted = sorted(chance.sample(range(COUNT), 4))
            while wanted:
                count = residency.acquire_first(wanted)
                for i in wanted[:count]:
                    part = slice(i * BLOCK, (i + 1) * BLOCK)
                    if not np.array_equal(residency.view(i * BLOCK, BLOCK), content[part]):
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


def test_threads_share_a_budget(data):
    path, content = data
    residency = opened(path, 3)
    wrong: list[int] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(100):
            i = chance.randrange(COUNT)
            if not np.array_equal(read(residency, i), content[i * BLOCK : (i + 1) * BLOCK]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert residency.counters()["peak_bytes"] <= 3 * BLOCK


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.acquire([COUNT]),
        lambda r: r.acquire([-1]),
        lambda r: r.release([0]),
        lambda r: r.view(0, 1 << 40),
        lambda r: r.view(-1, 4),
        lambda r: r.add([(0, 1)], 0),
    ],
)
def test_wrong_calls_are_errors(data, call):
    with pytest.raises(InvalidArgumentError):
        call(opened(data[0], 2))


@pytest.mark.parametrize("range_", [(-1, 5), (0, 1 << 62), (1 << 62, 1 << 62), (5, -1)])
def test_ranges_outside_of_the_file_are_refused(data, range_):
    residency = _native.Residency.open(os.fsencode(data[0]), BLOCK)
    with pytest.raises(InvalidArgumentError):
        residency.add([range_], 0)


def test_only_what_is_likely_is_read_ahead(data):
    residency = _native.Residency.open(os.fsencode(data[0]), 4 * BLOCK)
    for i in range(COUNT):
        residency.add([(i * BLOCK, BLOCK)], i % 3)
    residency.seal()
    residency.prefetch_likely(list(range(COUNT)), 0.0)
    assert residency.counters()["prefetched"] == 0  # nothing is known yet
    for _ in range(20):  # 0 in every round, 1 and 2 at the other places; 3 once
        for i in (0, 1, 2):
            read(residency, i)
    read(residency, 3)
    for i in (5, 8, 7, 4):  # in the places of all that was there
        residency.acquire([i])
    residency.release([5, 8, 7, 4])
    residency.prefetch_likely([3, 6, 0], 0.75)
    assert residency.counters()["prefetched"] == 1
    hits = residency.counters()["hits"] + residency.counters()["late"]
    read(residency, 0)
    assert residency.counters()["hits"] + residency.counters()["late"] == hits + 1
    with pytest.raises(InvalidArgumentError, match="block 99"):
        residency.prefetch_likely([99], 0.5)


def test_what_is_asked_for_in_parts_was_used_once(data):
    residency = _native.Residency.open(os.fsencode(data[0]), 3 * BLOCK)
    for i in range(COUNT):
        residency.add([(i * BLOCK, BLOCK)], 0 if i < 6 else 1)
    residency.seal()
    for _ in range(2):  # rounds of two places
        for _ in range(5):  # as by experts of which only the first are there
            count = residency.acquire_first([0, 1])
            residency.release([0, 1][:count])
        read(residency, 8)
    residency.acquire([3, 4, 5])
    residency.release([3, 4, 5])
    residency.prefetch_likely([0, 1], 0.3)
    assert residency.counters()["prefetched"] == 0


def test_together_waits_for_all_that_fit(data):
    residency = opened(data[0], 3)
    assert residency.acquire_first([0, 1, 2, 3, 4], together=True) == 3
    assert residency.counters()["resident_blocks"] == 3
    residency.release([0, 1, 2])
    assert residency.acquire_first([3, 4], together=True) == 2
    residency.release([3, 4])
    with pytest.raises(InvalidArgumentError, match="not acquired"):
        residency.release([3])


def test_together_holds_nothing_when_a_read_fails(data):
    path, _ = data
    residency = opened(path, 3)
    os.truncate(path, BLOCK)
    with pytest.raises(IntegrityError, match="shorter"):
        residency.acquire_first([0, 5, 6], together=True)
    for i in (0, 5, 6):
        with pytest.raises(InvalidArgumentError, match="not acquired"):
            residency.release([i])
    np.testing.assert_array_equal(read(residency, 0), data[1][:BLOCK])
