"""Experts that come and go beneath the CPU, single ones of them on a device: its bits, fewer reads."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from tests.engine.placed import SMALL, compiled, forwards, settings, talk
from tests.engine.test_residence import models, squeezed
from tests.engine.test_single_experts import MUCH, counted, settle
from tests.kernels.rows import assert_all_same_bits

from arrowmind.config import load_config
from arrowmind.engine.bodies import Split
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.expert_rates import NEVER, missing_share, worth_bringing
from arrowmind.engine.on_device import DeviceHost
from arrowmind.engine.opening import device_forwards
from arrowmind.engine.placing import choose_split
from arrowmind.engine.rates import DeviceRates, Rates

SHARED = 1
"""ARROWMIND_SHARES_HOST_MEMORY: copies read what is lent until they end."""


def squeezed_to(folder, parts):
    """Room for so many experts of the largest size, and for what they share."""
    residence = squeezed(folder)
    native = residence.weights.residency
    native.set_budget(native.needed_bytes + (parts - 1) * max(native.block_bytes()))
    return residence


def placed(folder, parts, *, room=MUCH, threshold=0.05, falls_back=False, device="cuda:0"):
    """All blocks on the device but for their experts, of which so many are in memory."""
    residence = squeezed_to(folder, parts)
    host = DeviceHost(device, falls_back=falls_back)
    split = Split(len(folder.decoder.blocks), experts_here=99, expert_room=room, expert_threshold=threshold)
    return compiled(folder, host, split, residence), host, residence


def check(residence):
    """The promise was kept, and nothing is lent any more: else the smallest budget would wait for ever."""
    native = residence.weights.residency
    assert native.counters()["peak_bytes"] <= native.budget
    native.set_budget(native.needed_bytes)

    def use_each():
        for block in range(len(native.block_bytes())):
            native.acquire([block])
            native.release([block])

    user = threading.Thread(target=use_each, daemon=True)
    user.start()
    user.join(20)
    assert not user.is_alive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return models(tmp_path_factory.mktemp("experts"), "qwen3-moe", "int8")


@pytest.fixture(scope="module")
def expected(folder):
    return talk(CachedDecoder(compiled(folder), settings("fp16")))


def check_bits(model, host, expected, rounds=3):
    for _ in range(rounds):
        cached = CachedDecoder(model, settings("fp16"))
        assert_all_same_bits(talk(cached, lambda _: settle(host)), expected)


@pytest.mark.parametrize(
    ("family", "kind"), [("qwen3-moe", "fp32"), ("deepseek-v2", "int4"), ("mixtral", "int2")]
)
def test_the_bits_of_the_cpu(fake, tmp_path, family, kind):
    folder = models(tmp_path, family, kind)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model, host, residence = placed(folder, 3)
    check_bits(model, host, expected)
    found = counted(host)
    assert min(found["hits"], found["misses"], found["brought"]) > 0
    assert (found["evicted"], found["failed"]) == (0, 0)
    check(residence)


def read_by(folder, room):
    """Bytes that come from the disk for the last of many tokens that take nearly the same routes."""
    model, host, residence = placed(folder, 2, room=room)
    cached = CachedDecoder(model, settings("fp16"))
    handle = cached.start()
    for step in range(60):
        if step == 50:
            before = residence.counters()
        cached.append([(handle, [7], 1)])
        settle(host)
    after = residence.counters()
    return [after[name] - before[name] for name in ("bytes_read", "misses", "hits")], host.info()


def test_what_is_on_the_device_is_not_read(fake, folder):
    (without, _, _), nothing = read_by(folder, 0)
    (read, misses, hits), info = read_by(folder, MUCH)
    assert "experts" not in nothing
    assert without > 0
    assert read < without / 4
    assert misses + hits < info["experts"]["hits"] / 4


def test_the_smallest_budget_lends_nothing(fake, folder, expected):
    model, host, residence = placed(folder, 1)
    check_bits(model, host, expected, 2)
    found = counted(host)
    assert (found["brought"], found["hits"], found["failed"]) == (0, 0, 0)
    assert found["misses"] > 0
    check(residence)


def test_room_for_two_is_enough(fake, folder, expected):
    model, host, residence = placed(folder, 2)
    check_bits(model, host, expected)
    assert counted(host)["hits"] > 0
    check(residence)


@pytest.mark.parametrize("shared", [0, SHARED])
def test_nobody_waits_for_a_slow_copy(fake, folder, expected, shared):
    """What is lent is given back before the copy ends, or where somebody lacks its room."""
    fake.set(flags=shared)
    model, host, residence = placed(folder, 2)
    fake.set(flags=shared, rate=2_000_000)
    for _ in range(2):
        cached = CachedDecoder(model, settings("fp16"))
        assert_all_same_bits(talk(cached), expected)
    fake.set(flags=shared)
    settle(host)
    assert counted(host)["failed"] == 0
    check(residence)


def test_what_gives_way_there_is_asked_for_here(fake, folder, expected):
    model, host, residence = placed(folder, 3)
    check_bits(model, host, expected)
    one = counted(host)["held_bytes"] // counted(host)["brought"]
    model, host, residence = placed(folder, 3, room=2 * one + one // 2)
    cached = CachedDecoder(model, settings("fp16"))
    handle = cached.start()
    for step in range(240):  # other routes every time, as far as they are others
        cached.append([(handle, [step // 12], 1)])
        settle(host)
        if counted(host)["evicted"]:
            break
    check_bits(model, host, expected)
    found = counted(host)
    assert found["evicted"] > 0
    assert found["held_bytes"] <= 2 * one
    check(residence)


def test_a_failure_at_any_call_changes_nothing(fake, folder, expected):
    model, host, residence = placed(folder, 2, falls_back=True)
    faults = [{"lost": call} for call in range(1, 200, 29)]
    faults += [{"at": call, "status": 5} for call in range(2, 200, 23)]
    faults += [{"launch": 23}, {"launch": 61}, {"allocation": 1}, {"allocation": 2}]
    for place, fault in enumerate(faults):

        def begin(step, fault=fault, failing=place % 5):
            if step != failing + 1:
                settle(host)
            fake.set(**(fault if step == failing else {}))

        assert_all_same_bits(talk(CachedDecoder(model, settings("fp16")), begin), expected)
    fake.set()
    check_bits(model, host, expected)
    assert counted(host)["hits"] > 0  # a device that came back has them again
    check(residence)


def test_a_device_that_is_lost_leaves_all_to_the_cpu(fake, folder, expected):
    model, host, residence = placed(folder, 2, falls_back=True)
    check_bits(model, host, expected)
    fake.set(lost=1)
    on_cpu, read = forwards("cpu"), residence.counters()["bytes_read"]
    assert_all_same_bits(talk(CachedDecoder(model, settings("fp16"))), expected)
    assert forwards("cpu") > on_cpu
    assert residence.counters()["bytes_read"] > read
    check(residence)


def test_copies_that_fail_end_what_is_lent(fake, folder, expected):
    model, host, residence = placed(folder, 2, falls_back=True)
    talk(CachedDecoder(model, settings("fp16")))
    settle(host)
    held = fake.live()["bytes"]
    fake.set(memory=held + 4096)  # room for no expert more
    check_bits(model, host, expected)
    check(residence)


def test_a_model_that_closes_while_a_copy_is_under_way(fake, folder):
    for rate in (20_000, 2_000_000):
        fake.set()
        model, host, residence = placed(folder, 3)
        cached = CachedDecoder(model, settings("fp16"))
        handle = cached.start()
        cached.append([(handle, [7], 1)])
        settle(host)
        fake.set(rate=rate)
        cached.append([(handle, [8], 1)])  # copies of experts take longer than its own
        del model, cached, host
        gc.collect()
        assert fake.live() == {}
        check(residence)


def test_texts_at_once_take_back_what_slow_copies_hold(fake, folder, expected):
    """Copies read what is lent until they end, and forwards that lack its room do not wait for that."""
    fake.set(flags=SHARED)
    model, host, residence = placed(folder, 2)
    fake.set(flags=SHARED, rate=1_000_000)
    found = [None] * 3

    def run(place):
        found[place] = talk(CachedDecoder(model, settings("fp16")))

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found:
        assert_all_same_bits(one, expected)
    fake.set(flags=SHARED)
    settle(host)
    assert counted(host)["failed"] == 0
    check(residence)


def test_texts_at_once_while_the_device_comes_and_goes(fake, folder, expected):
    model, host, residence = placed(folder, 3, falls_back=True)
    found = [None] * 6

    def run(place):
        found[place] = [talk(CachedDecoder(model, settings("fp16"))) for _ in range(3)]

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(found))]
    for thread in threads:
        thread.start()
    faults = ({"lost": 40}, {}, {"launch": 9}, {}, {"allocation": 1}, {}, {"at": 30, "status": 5}, {})
    for step in range(2000):
        fake.set(**faults[step % len(faults)])
        threading.Event().wait(0.005)
        if not any(thread.is_alive() for thread in threads):
            break
    fake.set()
    for thread in threads:
        thread.join()
    for talks in found:
        for one in talks:
            assert_all_same_bits(one, expected)
    settle(host)
    check(residence)


def test_on_a_device_that_is_not_the_cpu(other, folders):
    folder = folders("qwen3-moe")
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model, host, residence = placed(folder, 3, device=f"{other}:0")
    for _ in range(2):
        found = talk(CachedDecoder(model, settings("fp16")), lambda _: settle(host))
        for one, known in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, known, atol=5e-4, rtol=0)
    assert counted(host)["hits"] > 0
    check(residence)


HERE, THERE = Rates(memory=1e10, disk=1e9, prompt=1e11), DeviceRates(memory=1e11, prompt=1e13, bus=1e9)


def test_what_is_worth_a_copy():
    # 1 ms here, 0.1 ms there, 10 ms on the bus; 10 ms from the disk.
    assert worth_bringing(1e7, HERE, THERE) == pytest.approx(1.25 * 10 / (64 * 0.84))
    assert worth_bringing(1e7, HERE, THERE, 0.05) == worth_bringing(1e7, HERE, THERE)  # hidden behind the CPU
    assert worth_bringing(1e7, HERE, THERE, 0.12) == pytest.approx(1.25 * 10 / (64 * 1.04))
    assert worth_bringing(1e7, HERE, THERE, 0.5) == 0.15
    slow = DeviceRates(memory=9e9, prompt=1e13, bus=1e9)  # slower than the CPU, faster than the disk
    assert worth_bringing(1e7, HERE, slow) == NEVER
    assert worth_bringing(1e7, HERE, slow, 0.5) < NEVER


def test_the_share_that_is_not_in_memory():
    assert missing_share([], 5) == 0.0
    assert missing_share([10] * 10, 60) == pytest.approx(0.5)
    assert missing_share([10] * 10, 10) == missing_share([10] * 10, 0) == 1.0
    assert missing_share([10] * 10, 110) == missing_share([10] * 10, 1000) == 0.0


def test_residence_says_what_is_not_in_memory(folder):
    shares = [squeezed_to(folder, parts).missing for parts in (1, 2, 4)]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert 0.0 < shares[-1] < shares[1] < 1.0


def test_they_have_the_room_that_is_left_where_the_disk_is_slow(fake, folder):
    config = load_config(env={}, overrides=SMALL)

    def chosen(disk):
        host = DeviceHost("cuda:0", vram=64 << 20)
        here = Rates(memory=1e10, disk=disk, prompt=1e11)
        forwards = device_forwards(folder, config)
        return choose_split(folder, config, host, squeezed_to(folder, 3), forwards, (here, THERE))

    assert (chosen(1e6).expert_room, chosen(1e6).expert_threshold) > (0, 0.0)
    assert chosen(1e12).expert_room == 0
    assert chosen(1e6).experts_here == chosen(1e12).experts_here > 0
