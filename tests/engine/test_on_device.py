"""Models on a device: the CPU's results, and the CPU itself whenever the device fails."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tests.engine.placed import STRICT, TEXTS, forwards

from arrowmind import ArrowEngine
from arrowmind.engine import device_pauses
from arrowmind.engine.device_telemetry import describe_upload
from arrowmind.errors import DeviceLostError, DeviceMemoryError
from arrowmind.observe import metrics


def test_how_weights_came_there_is_told(fake, encoder):
    def counted():
        return dict(metrics.device_upload_bytes.values())

    before = sum(counted().values())
    engine = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT)
    state = engine.info()["device_state"]
    assert state["upload"]["bytes"] == state["weight_bytes"] == sum(counted().values()) - before
    assert state["upload"]["seconds"] > 0
    assert 0 <= state["upload"]["overlap"] <= 1
    assert set(counted()) >= {("cuda:0", how) for how in ("pinned", "mapping", "plain")}


@pytest.mark.parametrize(
    ("read", "copied", "all_of_it", "overlap"),
    [
        (1.0, 2.0, 2.0, 1.0),
        (1.0, 2.0, 3.0, 0.0),
        (1.0, 1.0, 1.5, 0.5),
        (0.0, 1.0, 1.0, 0.0),
        (1.0, 1.0, 9.0, 0.0),
    ],
)
def test_overlap_is_a_share_of_the_shorter_side(read, copied, all_of_it, overlap):
    told = {"bytes": 1, "seconds": all_of_it, "read_seconds": read, "copy_seconds": copied}
    assert describe_upload(told)["overlap"] == overlap


def fallbacks(reason):
    return metrics.fallback_events.values().get(("device", reason), 0)


def test_the_same_bits_as_on_the_cpu(fake, encoder, encoded):
    engine = ArrowEngine(encoder, device="cuda", threads=2)
    before = forwards("device")
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    assert forwards("device") == before + 1
    info = engine.info()
    assert info["device"] == "cuda:0"
    assert "attention" in info["kernels"]
    state = info["device_state"]
    assert state["serves"]
    assert 0 < state["weight_bytes"] < state["total_bytes"] - state["free_bytes"]


def test_weights_are_on_the_device_once(fake, encoder):
    engine = ArrowEngine(encoder, device="cuda", threads=2)
    allocations = fake.live()["allocations"]
    engine.encode(TEXTS)
    engine.encode(TEXTS[:1])
    assert fake.live()["allocations"] <= allocations + 2  # memory of forwards, by size


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"allocation": 1}, "out of memory"),
        ({"launch": 3}, "a kernel did not run"),
        ({"at": 5, "status": 5}, "the device failed"),
        ({"lost": 4}, "the device was lost"),
    ],
)
def test_a_failure_is_served_by_the_cpu_and_told(fake, encoder, encoded, settings, reason):
    engine = ArrowEngine(encoder, device="cuda", threads=2)
    before, on_cpu = fallbacks(reason), forwards("cpu")
    fake.set(**settings)
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    assert (fallbacks(reason), forwards("cpu")) == (before + 1, on_cpu + 1)


@pytest.mark.parametrize("call", range(1, 60, 4))
def test_a_device_that_is_lost_at_any_call_is_opened_anew(fake, encoder, encoded, call):
    engine = ArrowEngine(encoder, device="cuda", threads=2)
    fake.set(lost=call)
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    fake.set()
    before = forwards("device")
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    assert forwards("device") == before + 1


def test_after_a_failure_the_device_rests(fake, encoder, encoded, monkeypatch):
    monkeypatch.setattr(device_pauses, "_FIRST_REST_SECONDS", 3600.0)
    engine = ArrowEngine(encoder, device="cuda", threads=2)
    fake.set(launch=1)
    engine.encode(TEXTS)
    fake.set()
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    assert fake.report()["calls"] == 0
    assert not engine.info()["device_state"]["serves"]


def test_a_device_without_room_for_the_model(fake, encoder, encoded):
    before = fallbacks("out of memory")
    fake.set(memory=64 << 10)
    engine = ArrowEngine(encoder, device="cuda", threads=2)
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    assert fallbacks("out of memory") > before
    fake.set()  # whoever had the memory is gone
    on_there = forwards("device")
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    assert forwards("device") == on_there + 1


def test_a_device_that_others_fill(fake, encoder, encoded, monkeypatch):
    monkeypatch.setattr(device_pauses, "_ASK_SECONDS", 0.0)
    engine = ArrowEngine(encoder, device="cuda", threads=2)
    before = fallbacks("its memory is nearly full")
    fake.set(memory=fake.live()["bytes"] + 1000)
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    assert fallbacks("its memory is nearly full") == before + 1
    fake.set()
    there = forwards("device")
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    assert forwards("device") == there + 1


def test_errors_where_they_are_asked_for(fake, encoder, encoded):
    fake.set(memory=64 << 10)
    with pytest.raises(DeviceMemoryError, match=r"\[cuda:0\] allocate .* out of memory"):
        ArrowEngine(encoder, device="cuda", config=STRICT)
    fake.set()
    engine = ArrowEngine(encoder, device="cuda", config=STRICT)
    fake.set(lost=1)
    with pytest.raises(DeviceLostError, match="fell off the bus"):
        engine.encode(TEXTS)
    fake.set()
    np.testing.assert_array_equal(engine.encode(TEXTS), encoded)


def test_no_request_is_lost_while_a_device_comes_and_goes(fake, encoder, encoded):
    engine = ArrowEngine(encoder, device="cuda", threads=2)
    wrong = []

    def ask(seed):
        order = np.random.default_rng(seed).permutation(len(TEXTS))
        for _ in range(5):
            found = engine.encode([TEXTS[i] for i in order])
            if not np.array_equal(found, encoded[order]):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for fault in ({"lost": 30}, {}, {"launch": 5}, {"allocation": 1}, {"lost": 7}, {}):
        fake.set(**fault)
        threading.Event().wait(0.02)
    for thread in threads:
        thread.join()
    assert not wrong
