"""Blocks that are lent for a copy, and such as are used where they were copied."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

BLOCK = 16 * 4096
LAYERS, EXPERTS = 2, 4


def opened(tmp_path, blocks):
    """Experts of two layers, with room for so many blocks."""
    np.arange(LAYERS * EXPERTS * BLOCK, dtype=np.uint32).astype(np.uint8).tofile(tmp_path / "data")
    found = _native.Residency.open(os.fsencode(tmp_path / "data"), blocks * BLOCK)
    for i in range(LAYERS * EXPERTS):
        found.add([(i * BLOCK, BLOCK)], i // EXPERTS, asked=True)
    found.seal()
    return found


def use(residency, *wanted):
    left = list(wanted)
    while left:
        count = residency.acquire_first(left)
        residency.release(left[:count])
        left = left[count:]


def test_only_what_is_there_is_lent_and_nothing_is_read_for_it(tmp_path):
    residency = opened(tmp_path, 3)
    use(residency, 0)
    before = residency.counters()
    assert residency.lend(0)
    assert not residency.lend(1)
    assert residency.counters() == before
    residency.take_back(0)
    with pytest.raises(InvalidArgumentError, match="not acquired"):
        residency.take_back(0)
    for block in (-1, LAYERS * EXPERTS):
        with pytest.raises(InvalidArgumentError):
            residency.lend(block)


def test_what_is_lent_stays(tmp_path):
    residency = opened(tmp_path, 3)
    use(residency, 0)
    assert residency.lend(0)
    for _ in range(3):
        use(residency, 4, 5, 6, 7)
    misses = residency.counters()["misses"]
    use(residency, 0)
    assert residency.counters()["misses"] == misses
    residency.take_back(0)
    assert residency.counters()["peak_bytes"] <= 3 * BLOCK


@pytest.mark.parametrize(("blocks", "lent"), [(1, 0), (2, 1), (3, 2), (8, 7)])
def test_room_for_one_is_always_left(tmp_path, blocks, lent):
    residency = opened(tmp_path, blocks)
    use(residency, *range(LAYERS * EXPERTS))
    found = [block for block in range(LAYERS * EXPERTS) if residency.lend(block)]
    assert len(found) == lent
    use(residency, *range(LAYERS * EXPERTS))  # nobody waits
    for block in found:
        residency.take_back(block)


def test_a_budget_that_shrinks_waits_for_what_is_lent(tmp_path):
    residency = opened(tmp_path, 3)
    use(residency, 0)
    assert residency.lend(0)
    residency.set_budget(BLOCK)
    assert not residency.lend(0)
    user = threading.Thread(target=use, args=(residency, 5), daemon=True)
    user.start()
    user.join(0.1)
    assert user.is_alive()
    residency.take_back(0)
    user.join(10)
    assert not user.is_alive()
    assert residency.counters()["resident_bytes"] <= BLOCK


def test_what_is_used_elsewhere_is_not_read_ahead(tmp_path):
    residency = opened(tmp_path, 4)
    for _ in range(9):
        use(residency, 0)
        residency.pass_over([4, 5], whole=True)
    residency.prefetch_likely([4, 5], 0.2)
    residency.expect([4, 5])
    counters = residency.counters()
    assert (counters["prefetched"], counters["misses"]) == (0, 1)
    use(residency, 4)  # it was lost there
    residency.prefetch_likely([5], 0.2)
    use(residency, 0)
    residency.expect([4, 6])
    assert residency.counters()["prefetched"] == 1  # 4 is there, and 5 still elsewhere


def test_what_is_used_elsewhere_gives_way_first_until_it_is_asked_for(tmp_path):
    residency = opened(tmp_path, 3)
    use(residency, 0, 1)
    for _ in range(5):
        use(residency, 4)
        residency.pass_over([0, 1], whole=True)
    use(residency, 4, 5, 6)
    misses = residency.counters()["misses"]
    use(residency, 4)
    assert residency.counters()["misses"] == misses
    for _ in range(5):
        use(residency, 0)
        use(residency, 4)
    misses = residency.counters()["misses"]
    use(residency, 0)
    use(residency, 7)
    use(residency, 0)
    assert residency.counters()["misses"] == misses + 1


@pytest.mark.parametrize("whole", [True, False])
def test_a_turn_that_is_passed_over_settles_what_was_expected(tmp_path, whole):
    residency = opened(tmp_path, LAYERS * EXPERTS)
    for _ in range(8):
        use(residency, 0)
        residency.expect([4])
        residency.pass_over([6], whole=whole)
    before = residency.counters()["prefetched"]
    residency.expect([5])
    assert residency.counters()["prefetched"] == before + (not whole)  # guesses that were wrong end
