"""Memory is given back under pressure, and taken again: figures of a fake machine, and a real model."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.writers import write_bytes_model

from arrowmind import ArrowEngine
from arrowmind.config import ResidencySettings, load_config
from arrowmind.engine.memory_left import MemoryLeft
from arrowmind.engine.pressure import Figures, PressurePolicy, PressureWatch, ResidencyHolder
from arrowmind.observe import metrics

GIB = 1 << 30
SETTINGS = ResidencySettings()
CALM = Figures(available=8 * GIB, total=16 * GIB)
SHORT = Figures(available=GIB // 4, total=16 * GIB)


class Holding:
    """A holder of nothing."""

    def __init__(self, budget=4 * GIB, least=GIB):
        self.budget, self.least, self.trimmed = budget, least, 0

    def set_budget(self, size):
        assert self.least <= size
        self.budget = size

    def trim(self):
        self.trimmed += 1


def watch(holder, figures):
    return PressureWatch(holder, lambda: figures[-1], SETTINGS, "m")


def test_memory_is_given_back_and_taken_again():
    holder, figures = Holding(), [CALM]
    watching = watch(holder, figures)
    watching.look()
    assert (holder.budget, holder.trimmed) == (4 * GIB, 0)
    figures.append(SHORT)
    watching.look()
    assert holder.budget == 4 * GIB - (int(1.6 * GIB) - GIB // 4)  # until pressure_high is left
    assert holder.trimmed == 1
    for _ in range(10):
        watching.look()
    assert holder.budget == holder.least
    figures.append(CALM)
    for _ in range(3):
        watching.look()
        assert holder.budget == holder.least  # not at once
    seen = []
    for _ in range(20):
        watching.look()
        seen.append(holder.budget)
    assert seen == sorted(seen)
    assert seen[0] == GIB + GIB // 2  # an eighth of the whole at a time
    assert seen[-1] == 4 * GIB


def test_what_happened_is_counted_and_logged(caplog):
    caplog.set_level(logging.INFO, "arrowmind")
    before = dict(metrics.pressure_events.values())
    holder, figures = Holding(), [SHORT]
    watching = watch(holder, figures)
    watching.look()
    assert "memory is short" in caplog.text
    figures.append(CALM)
    for _ in range(4):
        watching.look()
    assert "memory is there again" in caplog.text
    after = metrics.pressure_events.values()
    for what in ("given_back", "taken_again"):
        assert after["m", what] == before.get(("m", what), 0) + 1


def test_stalls_are_pressure_too():
    policy = PressurePolicy(SETTINGS, 4 * GIB)
    stalled = Figures(int(1.5 * GIB), 16 * GIB, stalled=30.0)
    assert policy.is_pressed(stalled)
    assert policy.budget(stalled, 4 * GIB, GIB) == 4 * GIB - 4 * GIB // 16
    assert not policy.is_pressed(Figures(int(1.5 * GIB), 16 * GIB, stalled=5.0))
    assert not policy.is_pressed(Figures(8 * GIB, 16 * GIB, stalled=30.0))  # of somebody with other limits


def test_a_group_that_the_promise_fills_is_no_pressure():
    policy = PressurePolicy(SETTINGS, GIB, promise=2 * GIB)
    full = Figures(available=GIB // 32, total=2 * GIB, stalled=90.0, own=2 * GIB - GIB // 16)
    assert not policy.is_pressed(full)
    taken = Figures(available=GIB // 32, total=2 * GIB, own=GIB)
    assert policy.is_pressed(taken)


def test_free_pages_of_caches_are_given_back():
    class Cache:
        trimmed = 0

        def trim(self):
            Cache.trimmed += 1

    holder, cache = ResidencyHolder(None), Cache()
    holder.add_cache(weakref.ref(cache))
    watching = watch(holder, [SHORT])
    watching.look()
    assert Cache.trimmed == 1
    del cache
    watching.look()
    assert (Cache.trimmed, holder.budget, holder.least) == (1, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 16 * GIB), st.floats(0, 100)), max_size=40), st.integers(0, 4 * GIB))
def test_a_budget_stays_within_its_bounds_whatever_is_measured(looks, least):
    policy, budget = PressurePolicy(SETTINGS, 4 * GIB), 4 * GIB
    for available, stalled in looks:
        figures = Figures(available, 16 * GIB, stalled)
        after = policy.budget(figures, budget, least)
        assert least <= after <= 4 * GIB
        if policy.is_pressed(figures):
            assert after <= budget
        budget = after


def test_a_source_without_figures_or_with_errors_changes_nothing():
    holder = Holding()
    watch(holder, [None]).look()
    assert holder.budget == 4 * GIB

    def fails():
        raise OSError("no such file")

    quick = ResidencySettings(pressure_seconds=0.01)
    watching = PressureWatch(holder, fails, quick)
    watching.start()
    time.sleep(0.05)
    watching.stop()
    assert holder.budget == 4 * GIB


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "arrowmind-pressure"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bytes_model(tmp_path_factory.mktemp("models") / "bytes")


def opened(folder, **keys):
    keys = {"residency.ram": "64GiB", "residency.max_layers": 2, "residency.pressure_seconds": 0.01, **keys}
    return ArrowEngine(folder, config=load_config(env={}, overrides=keys))


def test_a_model_follows_the_pressure_and_writes_the_same(folder, monkeypatch):
    figures = [CALM]
    monkeypatch.setattr("arrowmind.engine.overseeing.MemoryLeft", lambda: lambda: figures[-1])
    expected = ArrowEngine(folder).generate("the cat", max_tokens=12, ignore_eos=True).token_ids
    engine = opened(folder)
    native = engine._language.residence.weights.residency
    most, least = native.budget, native.needed_bytes
    assert least < most
    assert engine.generate("the cat", max_tokens=12, ignore_eos=True).token_ids == expected
    figures.append(SHORT)
    wait_for(lambda: native.budget == least)
    wait_for(lambda: native.counters()["resident_bytes"] <= least)  # what is being read goes when it is there
    assert engine.generate("the cat", max_tokens=12, ignore_eos=True).token_ids == expected
    figures.append(CALM)
    wait_for(lambda: native.budget == most)
    engine.close()
    assert threads() == []


def wait_for(met):
    end = time.monotonic() + 60
    while not met():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_thread_ends_with_its_engine(folder):
    engine = opened(folder)
    assert len(threads()) == 1
    gone = weakref.ref(engine)
    del engine
    gc.collect()
    assert gone() is None
    assert threads() == []


def test_nobody_looks_without_a_budget_or_against_the_settings(folder):
    for engine in (ArrowEngine(folder), opened(folder, **{"residency.pressure": False})):
        assert threads() == []
        engine.close()


def tree(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return MemoryLeft(tmp_path)


MACHINE = {"proc/meminfo": "MemTotal:  1000 kB\nMemFree: 5 kB\nMemAvailable:  400 kB\n"}


def test_figures_of_a_machine(tmp_path):
    pressure = "some avg10=12.50 avg60=1.00 avg300=0.10 total=5\nfull avg10=3.00 avg60=0.00 total=1\n"
    found = tree(tmp_path, {**MACHINE, "proc/pressure/memory": pressure})()
    assert found == Figures(400 << 10, 1000 << 10, 12.5, found.own)
    assert found.own > 1 << 20
    assert tree(tmp_path / "none", {})() is None


def test_figures_of_version_two(tmp_path):
    group = "sys/fs/cgroup/a/b"
    files = {
        **MACHINE,
        "proc/self/cgroup": "0::/a/b\n",
        f"{group}/memory.max": "max\n",
        f"{group}/memory.current": "5\n",
        "sys/fs/cgroup/a/memory.max": "100000\n",
        "sys/fs/cgroup/a/memory.current": "90000\n",
        "sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 3000\n",
    }
    found = tree(tmp_path, files)()
    assert (found.available, found.total) == (13_000, 100_000)


def test_figures_of_version_one(tmp_path):
    files = {
        **MACHINE,
        "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "5\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "50000\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "60000\n",
    }
    found = tree(tmp_path, files)()
    assert (found.available, found.total) == (0, 50_000)


def test_this_machine_tells_something():
    figures = MemoryLeft()()
    if figures is None:
        pytest.skip("no /proc/meminfo")
    assert 0 < figures.available <= figures.total
