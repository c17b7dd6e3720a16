"""Blocks that somebody guesses will be asked for."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError

BLOCK = 16 * 4096
LAYERS, EXPERTS = 3, 8


@pytest.fixture(params=[True, False], ids=["slots", "in place"])
def residency(tmp_path, request):
    """Experts of three layers, with room for a third of them."""
    np.zeros(LAYERS * EXPERTS * BLOCK, np.uint8).tofile(tmp_path / "data")
    found = _native.Residency.open(os.fsencode(tmp_path / "data"), EXPERTS * BLOCK)
    for i in range(LAYERS * EXPERTS):
        found.add([(i * BLOCK, BLOCK)], i // EXPERTS, asked=request.param)
    found.seal()
    return found


def use(residency, wanted):
    left = list(wanted)
    while left:
        count = residency.acquire_first(left)
        residency.release(left[:count])
        left = left[count:]


def settled(residency):
    """What was counted, once nothing is on its way."""
    for _ in range(200):
        counters = residency.counters()
        if counters["resident_blocks"] * BLOCK == counters["resident_bytes"]:
            break
        time.sleep(0.01)
    return residency.counters()


def test_what_is_expected_is_there(residency):
    use(residency, [0, 1])
    residency.expect([9, 12])
    assert settled(residency)["resident_blocks"] == 4
    use(residency, [9, 12])
    counters = residency.counters()
    assert (counters["prefetched"], counters["misses"], counters["hits"]) == (2, 2, 2)
    assert counters["wasted"] == counters["bytes_wasted"] == 0


def test_what_is_expected_goes_last(residency):
    use(residency, range(8))
    residency.expect([3])
    use(residency, range(16, 23))  # in the place of all others
    before = residency.counters()["hits"]
    use(residency, [3])
    assert residency.counters()["hits"] == before + 1


def test_what_was_expected_in_vain_gives_way(residency):
    use(residency, [0])
    residency.expect([8, 9])
    settled(residency)
    use(residency, [10])
    use(residency, [*range(16, 24)])
    counters = residency.counters()
    assert (counters["wasted"], counters["bytes_wasted"]) == (2, 2 * BLOCK)


def test_wrong_guesses_end_and_right_ones_begin_again(residency):
    def rounds(count, guess):
        begin = residency.counters()["prefetched"]
        for turn in range(count):
            use(residency, [turn % EXPERTS])
            residency.expect([guess(turn)])
            use(residency, [EXPERTS + turn % EXPERTS])
            use(residency, [2 * EXPERTS + turn % EXPERTS])
        return residency.counters()["prefetched"] - begin

    residency.set_budget(4 * BLOCK)
    assert rounds(30, lambda turn: EXPERTS + turn % EXPERTS) > 20
    assert rounds(30, lambda turn: EXPERTS + (turn + 4) % EXPERTS) < 15
    assert rounds(8, lambda turn: EXPERTS + (turn + 4) % EXPERTS) == 0
    assert rounds(30, lambda turn: EXPERTS + turn % EXPERTS) > 10


def test_a_guess_is_no_more_than_there_is_room_for(residency):
    residency.acquire([0, 1, 2, 3, 4, 5])
    residency.expect([*range(8, 16)])
    assert settled(residency)["resident_blocks"] == 8
    residency.release([0, 1, 2, 3, 4, 5])
    assert residency.counters()["peak_bytes"] <= EXPERTS * BLOCK
    use(residency, [*range(8, 16)])


def test_a_guess_of_no_block_is_an_error(residency):
    for blocks in ([-1], [LAYERS * EXPERTS]):
        with pytest.raises(InvalidArgumentError):
            residency.expect(blocks)
