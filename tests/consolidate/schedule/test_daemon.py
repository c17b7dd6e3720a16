"""The loop runs what is due once, whatever the clock does."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest

from arrowmind.consolidate.schedule import CronSchedule, Daemon, PressureTrigger
from arrowmind.errors import ConfigurationError, ConsolidationError

START = datetime(2026, 11, 21, 0, 0, tzinfo=timezone.utc)
NIGHTLY = CronSchedule("0 3 * * *", timezone.utc)


class World:
    """A clock on the wall that only moves by waiting, and a store of some size."""

    def __init__(self, schedule=NIGHTLY, pressure=None, takes=timedelta(minutes=10)):
        self.now, self.size, self.takes = START, 0, takes
        self.runs = []
        self.events = {}
        self.waits = []
        self.daemon = Daemon(self.work, schedule, pressure, lambda: self.size, lambda: self.now)

    def work(self, reason):
        self.runs.append((self.now, reason))
        self.now += self.takes

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        for moment in [moment for moment in sorted(self.events) if moment <= self.now]:
            self.events.pop(moment)(self)
        if self.now >= self.end:
            self.daemon.stop()

    def live(self, days):
        self.end = START + timedelta(days=days)
        self.daemon.run(self.wait)
        return [moment for moment, _ in self.runs]


def test_once_a_night():
    world = World()
    nights = world.live(5)
    assert nights == [START + timedelta(days=day, hours=3) for day in range(5)]
    assert max(world.waits) <= 60
    assert min(world.waits) > 0


def test_a_run_longer_than_its_period_is_not_begun_twice():
    world = World(CronSchedule("*/5 * * * *", timezone.utc), takes=timedelta(minutes=12))
    runs = world.live(0.25)
    gaps = {(after - before).total_seconds() / 60 for before, after in itertools.pairwise(runs)}
    assert gaps == {15.0}


def test_a_machine_that_slept_over_several_nights_runs_once():
    world = World()
    world.events[START + timedelta(hours=1)] = lambda w: setattr(w, "now", w.now + timedelta(days=4, hours=5))
    runs = world.live(5.5)
    assert len(runs) == 2
    assert runs[0] >= START + timedelta(days=4, hours=6)
    assert runs[1] == START + timedelta(days=5, hours=3)


@pytest.mark.parametrize("back", [timedelta(minutes=30), timedelta(hours=1), timedelta(hours=20)])
def test_a_clock_that_goes_back_does_not_run_again(back):
    world = World()
    world.events[START + timedelta(hours=3, minutes=30)] = lambda w: setattr(w, "now", w.now - back)
    world.live(2.5)
    assert [moment for moment, _ in world.runs] == [START + timedelta(days=day, hours=3) for day in range(3)]


def test_a_clock_that_was_wrong_by_years_begins_anew():
    world = World()
    world.now += timedelta(days=4000)
    world.daemon = Daemon(world.work, NIGHTLY, None, lambda: 0, lambda: world.now)
    world.now = START
    assert world.live(2) == [START + timedelta(hours=3), START + timedelta(days=1, hours=3)]


def test_a_run_that_fails_does_not_end_the_loop(caplog):
    world = World()

    def fail(_reason):
        world.runs.append((world.now, ""))
        raise ConsolidationError("another process consolidates this store")

    world.daemon = Daemon(fail, NIGHTLY, None, lambda: 0, lambda: world.now)
    assert len(world.live(3)) == 3
    assert "another process" in caplog.text


def test_pressure_runs_between_the_nights():
    world = World(pressure=PressureTrigger(1000, 800))
    world.events[START + timedelta(hours=10)] = lambda w: setattr(w, "size", 1200)
    world.live(1)
    assert [reason for _, reason in world.runs] == ["schedule", "pressure"]


def test_pressure_alone_and_nothing_to_free():
    world = World(None, PressureTrigger(1000, 800))
    world.size = 1200
    assert len(world.live(3)) == 1
    assert world.daemon.next_due() is None


@pytest.mark.parametrize(
    ("sizes", "fired"),
    [
        ([500, 900, 1000, 1001], [False, False, False, True]),
        ([1001, 1001, 1050, 1150], [True, False, False, False]),
        ([1001, 1201], [True, True]),  # grown by what lies between the bounds
        ([1001, 900, 1001, 700, 1001], [True, False, False, False, True]),
    ],
)
def test_hysteresis(sizes, fired):
    trigger = PressureTrigger(1000, 800)
    assert [trigger.fires(size) for size in sizes] == fired


def test_bounds_of_pressure():
    assert not PressureTrigger(0, 0).fires(10**12)
    for high, low in ((100, 100), (100, 200), (-1, 0)):
        with pytest.raises(ConfigurationError, match="must be below"):
            PressureTrigger(high, low)


def test_a_process_gives_way():
    program = (
        "import os; from arrowmind.consolidate.schedule import give_way; "
        "print(give_way(), os.getpriority(os.PRIO_PROCESS, 0), getattr(os, 'sched_getscheduler', int)(0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert "'nice'" in done.stdout
    assert " 19 " in done.stdout
    if sys.platform == "linux":
        assert done.stdout.endswith(f"{os.SCHED_IDLE}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is that of the process")
def test_threads_that_run_already_give_way():
    program = (
        "import os, threading; from pathlib import Path; "
        "from arrowmind.consolidate.schedule import give_way; "
        "threading.Thread(target=threading.Event().wait, args=(60,), daemon=True).start(); give_way(); "
        "threads = [int(p.name) for p in Path('/proc/self/task').iterdir()]; "
        "print(*map(os.sched_getscheduler, threads), flush=True); "
        "os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    found = done.stdout.split()
    assert len(found) > 1
    assert set(found) == {str(os.SCHED_IDLE)}


@pytest.mark.parametrize("line", range(1, 15))
def test_a_signal_may_stop_it_amid_the_wait(line):
    """The n-th line is interrupted by a stop, as handlers of signals interrupt the main thread."""
    daemon = Daemon(lambda _: None, NIGHTLY, None, lambda: 0, lambda: START)
    lines = itertools.count(1)

    def interrupt(frame, event, _argument):
        waits = frame.f_code.co_filename == threading.__file__ or frame.f_code.co_name == "_sleep"
        if event == "line" and waits and next(lines) == line:
            daemon.stop()
        return interrupt

    def live():
        sys.settrace(interrupt)
        daemon.run()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    thread.join(timeout=0.2)
    daemon.stop()  # where there were fewer lines
    thread.join(timeout=10)
    assert not thread.is_alive()
