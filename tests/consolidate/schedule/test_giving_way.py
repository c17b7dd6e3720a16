"""Work rests while others recall, and goes on all the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrowmind.consolidate.schedule import RecallGate


class Machine:
    """A clock that work and sleep move, and a server that is busy when a function of the time says so."""

    def __init__(self, is_busy, least_share):
        self.now = self.spent = 0.0
        self.looks = 0
        self._is_busy = is_busy
        self.gate = RecallGate(self.look, least_share, lambda: self.now, lambda: self.spent, self.sleep)

    def look(self):
        self.looks += 1
        return self._is_busy(self.now)

    def sleep(self, seconds):
        self.now += seconds

    def work(self, seconds):
        self.now += seconds
        self.spent += seconds
        began = self.now
        self.gate()
        return self.now - began


def test_nobody_recalls():
    machine = Machine(lambda _: False, 0.2)
    assert [machine.work(0.004) for _ in range(10)] == [0.0] * 10
    assert machine.gate.rested == 0


def test_it_rests_until_a_recall_has_been_over_for_a_moment():
    machine = Machine(lambda now: now < 0.012, 0.01)
    assert machine.work(0.004) == pytest.approx(0.012 - 0.004 + 0.01, abs=0.005)
    assert machine.work(0.004) == 0


def test_who_asks_again_at_once_is_waited_for():
    machine = Machine(lambda now: now % 0.01 > 0.004 and now < 0.1, 0.01)
    machine.work(0.006)
    assert machine.now == pytest.approx(0.11, abs=0.005)


def test_short_pieces_are_put_together():
    machine = Machine(lambda _: True, 0.5)
    rests = [machine.work(0.0005) for _ in range(8)]
    assert sum(rest > 0 for rest in rests) == 2
    assert machine.looks < 8


def test_waiting_for_a_processor_is_no_work():
    machine = Machine(lambda _: True, 0.5)
    machine.now += 5
    assert machine.work(0.004) == pytest.approx(0.004, abs=0.002)


def test_no_rest_lasts_longer_than_a_second():
    machine = Machine(lambda _: True, 0.01)
    assert machine.work(60.0) == pytest.approx(1.0, abs=0.003)


def test_a_share_of_one_never_rests():
    machine = Machine(lambda _: True, 1.0)
    assert machine.work(0.1) == 0
    assert machine.looks == 0


@given(
    pieces=st.lists(st.floats(0.0001, 0.2), min_size=1, max_size=60),
    share=st.sampled_from([0.01, 0.1, 0.2, 0.5, 0.9, 1.0]),
    busy=st.lists(st.booleans(), min_size=1, max_size=7),
)
def test_it_keeps_its_share_whatever_others_do(pieces, share, busy):
    machine = Machine(lambda now: busy[int(now * 500) % len(busy)], share)
    for piece in pieces:
        machine.work(piece)
    # Of each rest the last nap may be too long, and follows at least two milliseconds of work.
    naps = 0.002 * sum(pieces) / 0.002
    assert machine.now - machine.spent == pytest.approx(machine.gate.rested)
    assert machine.gate.rested <= sum(pieces) * (1 - share) / share + naps
