"""Blocks of the CPU that pass through a device for long prompts: its bits, whatever fails, in the budget."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine import decoders
from tests.engine.placed import FAMILIES, SEED, compiled, forwards, ids, opened, settings, talk, texts
from tests.engine.test_residence import models, squeezed
from tests.kernels.rows import assert_all_same_bits
from tests.reference import decoder

from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.engine.bodies import Split
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.device_room import BlockSizes, DeviceRoom
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.on_device import DeviceHost
from arrowmind.engine.passing_rates import passing_rows
from arrowmind.engine.placing import with_prompts
from arrowmind.engine.rates import DeviceRates, Rates
from arrowmind.errors import DeviceLostError
from arrowmind.weights import convert_model


def passing(folder, rows=1, there=1, *, weighs=0, falls_back=False, device="cuda:0"):
    host = DeviceHost(device, falls_back=falls_back)
    return compiled(folder, host, Split(there, prompt_rows=rows, prompt_bytes=weighs)), host


@pytest.mark.parametrize("form", ["fp16", "int8"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_bits_of_the_cpu(fake, folders, name, form):
    folder = folders(name)
    expected = talk(CachedDecoder(compiled(folder), settings(form)))
    plain = compiled(folder).states([ids(30), ids(4, 1)])
    model, host = passing(folder)
    on_cpu = forwards("cpu")
    assert_all_same_bits(talk(CachedDecoder(model, settings(form))), expected)
    assert_all_same_bits(model.states([ids(30), ids(4, 1)]), plain)
    assert host.info()["sent_bytes"] > 0
    assert forwards("cpu") == on_cpu


def deep(path, name, blocks=7):
    """A model of more blocks than there are places."""
    config = {**decoder.CONFIGS[name], "num_hidden_layers": blocks}
    convert_model(decoders.write(path / "hf", config, decoder.random_weights(config, SEED)), path / "model")
    return ModelFolder(path / "model")


@pytest.mark.parametrize(("form", "rate"), [("fp16", 0), ("int8", 30_000_000)])
@pytest.mark.parametrize("name", ["llama", "qwen3-moe"])
def test_a_block_waits_for_its_place_and_its_weights(fake, tmp_path, name, form, rate):
    folder = deep(tmp_path, name)
    expected = talk(CachedDecoder(compiled(folder), settings(form)))
    model, host = passing(folder)
    fake.set(rate=rate)
    assert_all_same_bits(talk(CachedDecoder(model, settings(form))), expected)
    assert host.info()["sent_bytes"] > 0


@pytest.mark.parametrize(("family", "kind"), [("qwen2", "int8"), ("qwen3", "int4"), ("qwen3-moe", "int8")])
def test_slow_copies_are_waited_for(fake, tmp_path, family, kind):
    folder = models(tmp_path, family, kind)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model, host = passing(folder)
    fake.set(rate=20_000_000)
    assert_all_same_bits(talk(CachedDecoder(model, settings("fp16"))), expected)
    assert host.info()["sent_bytes"] > 0


def test_few_rows_stay_with_the_cpu(fake, folders):
    folder = folders("llama")
    model, host = passing(folder, rows=6)
    cached = CachedDecoder(model, settings("fp16", chunk=16))
    handle = cached.start()
    for count, more in ((5, False), (6, True), (1, False), (16, True)):
        before = host.info()["sent_bytes"]
        cached.append([(handle, ids(count), 1)])
        assert (host.info()["sent_bytes"] > before) == more


def test_pages_that_cross_count_beside_weights(fake, folders):
    folder = folders("llama")
    model, host = passing(folder, rows=3, weighs=4096)
    cached, plain = (CachedDecoder(one, settings("fp16", 80)) for one in (model, compiled(folder)))
    handles = [[one.start() for _ in range(4)] for one in (cached, plain)]

    def passes(count, rows):
        before = host.info()["sent_bytes"]
        feeds = [[(handle, ids(rows, handle), 1) for handle in own[:count]] for own in handles]
        assert_all_same_bits(cached.append(feeds[0]), plain.append(feeds[1]))
        return host.info()["sent_bytes"] > before

    assert passes(1, 40)  # a prompt
    assert not passes(4, 1)  # a token of each: most of what crosses would be pages


@pytest.mark.parametrize("form", ["fp16", "int8"])
def test_a_failure_at_any_call_changes_nothing(fake, folders, form):
    folder = folders("qwen2-window")
    expected = talk(CachedDecoder(compiled(folder), settings(form)))
    model, host = passing(folder, falls_back=True)
    cached = CachedDecoder(model, settings(form))
    faults = [{"lost": call} for call in range(1, 130, 11)]
    faults += [{"at": call, "status": 5} for call in range(2, 130, 9)]
    faults += [{"launch": launch} for launch in range(1, 40, 7)]
    faults += [{"allocation": 1}, {"allocation": 2}]
    on_cpu = forwards("cpu")
    for place, fault in enumerate(faults):

        def begin(step, fault=fault, failing=place % 5):
            fake.set(**(fault if step == failing else {}))

        assert_all_same_bits(talk(cached, begin), expected)
    assert forwards("cpu") > on_cpu
    fake.set()
    before, sent = forwards("cpu"), host.info()["sent_bytes"]
    talk(cached)
    assert forwards("cpu") == before  # back on the device
    assert host.info()["sent_bytes"] > sent


def test_a_failure_that_is_not_caught_takes_nothing(fake, folders):
    model, _ = passing(folders("llama"))
    cached = CachedDecoder(model, settings("fp16"))
    handle = cached.start()
    cached.append([(handle, ids(9), 1)])
    fake.set(lost=9)
    with pytest.raises(DeviceLostError, match="fell off the bus"):
        cached.append([(handle, ids(9, 1), 1)])
    assert cached.length(handle) == 9


@pytest.mark.parametrize(("family", "kind"), [("llama", "fp32"), ("qwen2", "int8")])
def test_blocks_come_from_the_disk_and_pass(fake, tmp_path, family, kind):
    folder = models(tmp_path, family, kind)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    residence = squeezed(folder)
    residence.cut(len(folder.decoder.blocks) - 1)
    host = DeviceHost("cuda:0", falls_back=False)
    model = compiled(folder, host, Split(1, prompt_rows=2), residence)
    residence.begin()
    assert_all_same_bits(talk(CachedDecoder(model, settings("fp16"))), expected)
    assert host.info()["sent_bytes"] > 0
    assert residence.counters()["peak_bytes"] <= residence.weights.residency.budget


@pytest.mark.parametrize("name", ["llama", "gemma3", "deepseek-v3"])
def test_on_a_device_that_is_not_the_cpu(other, folders, name):
    folder = folders(name)
    model, host = passing(folder, device=f"{other}:0")
    found = talk(CachedDecoder(model, settings("int8")))
    wanted = talk(CachedDecoder(compiled(folder), settings("int8")))
    for one, known in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, known, atol=5e-3, rtol=0)
    assert host.info()["sent_bytes"] > 0


DENSE = [BlockSizes(1000, 0, 10)] * 4
HERE, THERE = Rates(memory=1e6, disk=1e6, prompt=1e6), DeviceRates(memory=1e9, prompt=1e9, bus=1e5)


def test_from_where_it_pays(folders):
    model = folders("llama").decoder
    # A row takes 1 ms of the CPU for each block, the bus 10 ms: 10 rows, and a quarter more.
    assert passing_rows(model, DENSE, HERE, THERE) == 13
    assert passing_rows(model, DENSE, HERE, DeviceRates(1e9, 1e9, 2e5)) == 7
    assert passing_rows(model, DENSE, HERE, DeviceRates(1e9, 1.2e6, 1e5)) == 0  # no faster there
    assert passing_rows(model, DENSE, HERE, DeviceRates(1e9, 1e9)) == 0
    assert passing_rows(model, DENSE, None, THERE) == 0
    assert passing_rows(model, DENSE, Rates(1e6, 1e6), THERE) == 0
    assert passing_rows(model, [], HERE, THERE) == 0


def test_experts_that_few_rows_meet_pass_later(folders):
    model = folders("qwen3-moe").decoder
    routed = [BlockSizes(500, 500, 10)] * 4
    assert passing_rows(model, routed, HERE, THERE) > passing_rows(
        folders("llama").decoder, routed, HERE, THERE
    )


def planned(room, rows=-1, rates=(HERE, THERE), experts=True, chunk=512, model=None, share=0.25):
    counted = DeviceRoom(tuple(DENSE) * 10, 30, 5, 7)
    keys = ("device.prompt_rows", "generation.prefill_chunk", "device.prompt_share")
    overrides = dict(zip(keys, (rows, chunk, share), strict=True))
    config = load_config(env={}, overrides=overrides)
    found = counted.split(room)
    chosen = with_prompts(found, counted, room, model, config, rates, experts=experts)
    assert chosen.prompt_rows == 0 or counted.taken(chosen) <= room
    assert (chosen.prompt_bytes > 0) == (chosen.prompt_rows > 0)
    return chosen._replace(prompt_rows=0, prompt_bytes=0) == found, chosen.prompt_rows


def test_room_for_two_blocks(folders):
    model = folders("llama").decoder
    assert planned(20_000, model=model) == (False, 13)
    assert planned(5_000, model=model) == (True, 0)  # too much of what is there
    assert planned(5_000, rows=100, model=model) == (False, 100)  # asked for
    assert planned(5_000, model=model, share=0.5) == (False, 13)
    assert planned(20_000, model=model, share=0.05) == (True, 0)
    assert planned(2_000, rows=100, model=model) == (True, 0)  # no block would stay
    assert planned(20_000, rows=0, model=model) == (True, 0)
    assert planned(20_000, experts=False, model=model) == (True, 0)
    assert planned(20_000, rates=(None, None), model=model) == (True, 0)
    assert planned(20_000, rows=17, chunk=16, model=model) == (True, 0)  # no forward has so many
    assert planned(1 << 40, model=model) == (True, 0)


def test_a_budget_is_kept_with_blocks_that_pass(fake, bytes_model):
    plain = ArrowEngine(bytes_model, device="cpu", threads=2)
    whole = opened(bytes_model)
    needed = whole.info()["device_state"]["taken_bytes"]
    seen = set()
    for share in (1, 4, 16):
        vram = int(needed * share)
        engine = opened(bytes_model, vram, device__prompt_rows=8, device__blocks=1)
        assert texts(engine) == texts(plain)
        state = engine.info().get("device_state")
        if state is None:
            continue  # not even a block
        assert state["taken_bytes"] <= vram
        assert (state["prompt_rows"] == 8) == (state["sent_bytes"] > 0)
        seen.add(state["prompt_rows"])
        engine.close()
    assert 8 in seen


@pytest.mark.parametrize(("rows", "said"), [(-1, True), (0, False)])
def test_it_is_told_where_rates_are_wanted_and_not_known(fake, bytes_model, caplog, monkeypatch, rows, said):
    monkeypatch.setattr("arrowmind.engine.opening.known_device", lambda name: None)
    caplog.set_level("INFO", logger="arrowmind")
    opened(bytes_model, device__blocks=1, device__prompt_rows=rows, device__expert_threshold=1.0).close()
    assert ("was never measured" in caplog.text) == said
