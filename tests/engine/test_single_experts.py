"""Experts of the CPU that come to a device one by one: its bits, more hits where routes repeat."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.placed import ROUTED, SMALL, compiled, forwards, ids, listened, settings, talk
from tests.engine.test_residence import models
from tests.engine.writers import write_bytes_model
from tests.kernels.rows import assert_all_same_bits, assert_same_bits

from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.engine.bodies import Split
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.device_rates import measure_device
from arrowmind.engine.device_room import BlockSizes, DeviceRoom
from arrowmind.engine.expert_rates import NEVER, worth_bringing
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.forward_room import ForwardBound
from arrowmind.engine.on_device import DeviceHost
from arrowmind.engine.opening import device_forwards
from arrowmind.engine.placing import room_on_device, with_experts
from arrowmind.engine.rates import DeviceRates, Rates
from arrowmind.observe import metrics

MUCH = 1 << 30


def cached_experts(folder, room=MUCH, threshold=0.05, *, falls_back=False, device="cuda:0"):
    """All blocks there but for their experts."""
    host = DeviceHost(device, falls_back=falls_back)
    split = Split(len(folder.decoder.blocks), experts_here=99, expert_room=room, expert_threshold=threshold)
    return compiled(folder, host, split), host


def settle(host):
    """What is on its way comes."""
    if host._opened is not None:
        for plan in host._opened.plans.values():
            plan.settle_experts()


def counted(host):
    return host.info()["experts"]


@pytest.mark.parametrize("name", ROUTED)
def test_the_bits_of_the_cpu(fake, folders, name):
    folder = folders(name)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model, host = cached_experts(folder)
    for _ in range(4):
        cached = CachedDecoder(model, settings("fp16"))
        assert_all_same_bits(talk(cached, lambda _: settle(host)), expected)
    found = counted(host)
    assert min(found["hits"], found["misses"], found["brought"], found["held_bytes"]) > 0
    assert (found["evicted"], found["failed"]) == (0, 0)


@pytest.mark.parametrize(
    ("family", "kind"), [("qwen3-moe", "int8"), ("deepseek-v2", "int4"), ("mixtral", "int2")]
)
def test_codes(fake, tmp_path, family, kind):
    folder = models(tmp_path, family, kind)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model, host = cached_experts(folder)
    for _ in range(3):
        cached = CachedDecoder(model, settings("fp16"))
        assert_all_same_bits(talk(cached, lambda _: settle(host)), expected)
    assert counted(host)["hits"] > 0


def test_routes_that_repeat_find_their_experts(fake, folders):
    folder = folders("qwen3-moe")
    model, host = cached_experts(folder, threshold=0.25)
    plain, cached = compiled(folder), CachedDecoder(model, settings("fp16"))
    handle, shares, before = cached.start(), [], {"hits": 0, "misses": 0}
    for step in range(40):
        (row,) = cached.append([(handle, [7], 1)])
        settle(host)
        if step % 10 == 9:
            found = counted(host)
            hits, misses = (found[name] - before[name] for name in ("hits", "misses"))
            shares.append(hits / (hits + misses))
            before = found
    assert shares[-1] >= 0.5, shares  # one is brought at a time: which comes first is chance
    assert shares[-1] > shares[0] + 0.1, shares
    other_cache = CachedDecoder(plain, settings("fp16"))
    same = other_cache.start()
    for _ in range(40):
        (wanted,) = other_cache.append([(same, [7], 1)])
    assert_same_bits(row, wanted)


def test_experts_that_are_used_less_give_way(fake, folders):
    folder = folders("qwen3-moe")
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    whole, host = cached_experts(folder)
    for _ in range(3):
        talk(CachedDecoder(whole, settings("fp16")), lambda _: settle(host))
    one = counted(host)["held_bytes"] // counted(host)["brought"]
    model, host = cached_experts(folder, room=2 * one + one // 2)
    for _ in range(6):
        cached = CachedDecoder(model, settings("fp16"))
        assert_all_same_bits(talk(cached, lambda _: settle(host)), expected)
    found = counted(host)
    assert found["held_bytes"] <= 2 * one
    assert found["evicted"] > 0
    assert found["brought"] == found["evicted"] + 2


def test_what_is_seldom_asked_for_stays(fake, folders):
    model, host = cached_experts(folders("qwen3-moe"), threshold=0.99)
    talk(CachedDecoder(model, settings("fp16")), lambda _: settle(host))
    found = counted(host)
    assert (found["brought"], found["hits"]) == (0, 0)
    assert found["misses"] > 0


def test_a_failure_at_any_call_changes_nothing(fake, folders):
    folder = folders("qwen3-moe")
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model, host = cached_experts(folder, falls_back=True)
    faults = [{"lost": call} for call in range(1, 200, 17)]
    faults += [{"at": call, "status": 5} for call in range(2, 200, 13)]
    faults += [{"launch": launch} for launch in range(1, 90, 11)]
    faults += [{"allocation": 1}, {"allocation": 2}]
    for place, fault in enumerate(faults):

        def begin(step, fault=fault, failing=place % 5):
            if step != failing + 1:
                settle(host)
            fake.set(**(fault if step == failing else {}))

        cached = CachedDecoder(model, settings("fp16"))
        assert_all_same_bits(talk(cached, begin), expected)
    fake.set()
    for _ in range(3):
        talk(CachedDecoder(model, settings("fp16")), lambda _: settle(host))
    assert counted(host)["hits"] > 0  # a device that came back has them again


def test_a_device_without_room_keeps_what_it_has(fake, folders):
    folder = folders("qwen3-moe")
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model, host = cached_experts(folder, falls_back=True)
    talk(CachedDecoder(model, settings("fp16")))
    settle(host)
    fake.set(memory=fake.live()["bytes"] + (1 << 16))
    for _ in range(3):
        cached = CachedDecoder(model, settings("fp16"))
        assert_all_same_bits(talk(cached, lambda _: settle(host)), expected)
    assert counted(host)["failed"] == 0


def test_experts_give_way_to_what_a_forward_needs(fake, folders):
    folder = folders("qwen3-moe")
    model, host = cached_experts(folder, falls_back=True)
    for _ in range(3):
        talk(CachedDecoder(model, settings("fp16")), lambda _: settle(host))
    before = counted(host)
    wide = ids(60, 5)  # more rows than any forward before
    fake.set(memory=fake.live()["bytes"] + 1024)
    expected = compiled(folder).states([wide] * 2)
    for _ in range(8):
        on_cpu = forwards("cpu")
        assert_all_same_bits(model.states([wide] * 2), expected)
        if forwards("cpu") == on_cpu:
            break
    else:
        pytest.fail("no forward found room")
    assert counted(host)["held_bytes"] <= before["held_bytes"] / 2


@pytest.mark.parametrize("name", ["qwen3-moe", "deepseek-v3"])
def test_on_a_device_that_is_not_the_cpu(other, folders, name):
    folder = folders(name)
    wanted = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model, host = cached_experts(folder, device=f"{other}:0")
    for _ in range(2):
        found = talk(CachedDecoder(model, settings("fp16")), lambda _: settle(host))
        for one, known in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, known, atol=5e-4, rtol=0)
    assert counted(host)["hits"] > 0


HERE, THERE = Rates(memory=1e9, disk=1e9, prompt=1e11), DeviceRates(memory=1e11, prompt=1e13, bus=5e8)


def test_what_is_worth_a_copy():
    # 10 ms here, 0.1 ms there, 20 ms on the bus: less than one use in ten of 64.
    assert worth_bringing(1e7, HERE, THERE) == 0.15
    assert worth_bringing(1e7, HERE, DeviceRates(1e11, 1e13, 2e7)) == pytest.approx(0.987, abs=0.01)
    assert worth_bringing(1e7, HERE, DeviceRates(1e11, 1e13, 1e7)) == NEVER  # too slow a bus
    assert worth_bringing(1e7, HERE, DeviceRates(1e9, 1e13, 5e8)) == NEVER  # no faster there
    assert worth_bringing(1e4, HERE, THERE) == NEVER  # launches take longer
    assert worth_bringing(1e7, None, THERE) == worth_bringing(1e7, HERE, None) == NEVER


def test_slow_copies_are_found_out(fake):
    fake.set(rate=200_000)
    slow = measure_device("cuda:0", 256, 256)
    fake.set()
    fast = measure_device("cuda:0", 256, 256)
    assert slow.bus < fast.bus / 4
    assert worth_bringing(1e7, HERE, DeviceRates(1e11, 1e13, slow.bus)) == NEVER


def test_the_room_that_is_left(folders):
    model = folders("qwen3-moe").decoder
    counted = DeviceRoom((BlockSizes(1000, 64_000, 10),) * 6, 30, 5, 7)

    def planned(room, threshold=-1.0, rates=(HERE, THERE)):
        config = load_config(env={}, overrides={"device.expert_threshold": threshold})
        split = counted.split(room)
        found = with_experts(split, counted, room, model, config, rates)
        assert counted.taken(found) == counted.taken(split) + found.expert_room <= room
        return found.expert_room, found.expert_threshold

    fast = (Rates(1e5, 1e9), DeviceRates(1e11, 1e13, 5e8))
    assert planned(100_000, rates=fast) == (100_000 - 7 - 30 - 6 * 1010 - 64_000, 0.15)
    assert planned(100_000, 0.5) == (100_000 - 7 - 30 - 6 * 1010 - 64_000, 0.5)
    assert planned(100_000, 1.0) == (0, NEVER)
    assert planned(100_000, rates=(None, None)) == (0, NEVER)
    assert planned(1 << 30, 0.5) == (0, NEVER)  # all experts are there
    assert planned(6_100, 0.5) == (0, NEVER)  # no room for one


def test_no_token_is_lost_under_64_streams(fake, tmp_path):
    """With prompts that pass, experts that come and go, and a device that does."""
    path = write_bytes_model(tmp_path / "bytes", family="qwen3-moe")
    overrides = {
        **{"device.blocks": 2, "device.prompt_rows": 8, "device.expert_threshold": 0.05},
        **{"generation.cache_tokens": 2048, "generation.prefill_chunk": 32, "device.most_used": 1.0},
    }
    config = load_config(env={}, overrides=overrides)
    folder = ModelFolder(path)
    bound = ForwardBound(1 << 30, 4096, fills=False)
    counted = room_on_device(folder, config, device_forwards(folder, config), bound)
    some = max(one.experts for one in counted.blocks) // 2
    vram = counted.passing + counted.taken(Split(2, experts_here=2)) + some
    placed = ArrowEngine(path, device="cuda", threads=2, config=config, vram=vram)
    state = placed.info()["device_state"]
    assert min(state["expert_room"], state["prompt_rows"]) > 0
    prompts = [f"the cat {i} sat" for i in range(64)]
    options = {"max_tokens": 12, "ignore_eos": True}
    expected = [one.text for one in ArrowEngine(path, threads=2).generate(prompts, **options)]
    before = forwards("device"), forwards("cpu")
    for _ in range(2):
        assert listened(fake, placed, prompts, **options) == expected
        assert placed.info()["device_state"].get("taken_bytes", 0) <= vram  # none where it is lost
    assert forwards("device") > before[0]
    assert forwards("cpu") > before[1]
    placed.close()


def test_an_engine_within_its_budget(fake, folders):
    folder = folders("qwen3-moe")
    plain = ArrowEngine(folder.path, threads=2)
    overrides = {**SMALL, "device.expert_threshold": 0.05, "generation.cache_tokens": 64}
    for vram in range(3 << 20, 4 << 20, 1 << 17):
        config = load_config(env={}, overrides=overrides)
        engine = ArrowEngine(folder.path, device="cuda", threads=2, config=config, vram=vram)
        state = engine.info().get("device_state")
        if state is not None and state["expert_room"]:
            break
    else:
        pytest.fail("no budget leaves room for an expert")
    for _ in range(12):
        assert_same_bits(engine.logits(ids(9)), plain.logits(ids(9)))
        settle(engine._host)
    state = engine.info()["device_state"]
    assert state["experts"]["hits"] > 0
    assert state["taken_bytes"] <= vram
    metrics.ask_sources()
    assert metrics.device_experts.values()["cuda:0", "hits"] >= state["experts"]["hits"]
    assert metrics.device_sent.values()["cuda:0", "experts"] >= state["experts"]["brought_bytes"]
