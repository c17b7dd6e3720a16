"""Models larger than the memory of their device: what goes there, and never more than may be."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from tests.engine.placed import (
    ROUTED,
    compiled,
    cut,
    forwards,
    ids,
    listened,
    opened,
    settings,
    talk,
    texts,
)
from tests.engine.test_residence import models, squeezed
from tests.kernels.rows import assert_all_same_bits, assert_same_bits

from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.engine.bodies import Split
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.device_room import BlockSizes, DeviceRoom
from arrowmind.engine.on_device import DeviceHost
from arrowmind.errors import DeviceMemoryError, DeviceUnsupportedError, InvalidArgumentError
from arrowmind.observe import metrics

ROOM = DeviceRoom((BlockSizes(10, 100, 2), BlockSizes(10, 100, 2), BlockSizes(20, 0, 2)), 30, 5, 7)


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (0, Split(0, False, 0)),
        (28, Split(0, False, 0)),
        (36, Split(1, False, 0)),  # a block fits where the head does not
        (37, Split(0, True, 0)),
        (58, Split(0, True, 0)),
        (59, Split(1, True, 0)),
        (71, Split(2, True, 1)),
        (83, Split(3, True, 2)),
        (182, Split(3, True, 2)),
        (183, Split(3, True, 1)),
        (283, Split(3, True, 0)),
        (1000, Split(3, True, 0)),
    ],
)
def test_what_every_token_meets_goes_first(room, expected):
    found = ROOM.split(room)
    assert found == expected
    assert room < ROOM.scratch or ROOM.taken(found) <= room


def test_what_may_not_go_stays():
    assert ROOM.split(1000, 2) == Split(2, True, 0)
    assert ROOM.split(1000, 0) == Split(0, True, 0)
    assert ROOM.split(1000, experts=False) == Split(3, True, 2)
    assert ROOM.whole == 7 + 30 + 5 + 40 + 6 + 200


@pytest.mark.parametrize("name", ROUTED)
@pytest.mark.parametrize("here", [1, 99])
def test_experts_that_stay_have_the_bits_of_the_cpu(fake, folders, name, here):
    folder = folders(name)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    split = Split(len(folder.decoder.blocks), experts_here=here)
    cached = CachedDecoder(cut(folder, split, falls_back=False), settings("fp16"))
    assert_all_same_bits(talk(cached), expected)


@pytest.mark.parametrize(
    ("family", "kind"), [("qwen3-moe", "int8"), ("deepseek-v2", "int4"), ("mixtral", "int2")]
)
def test_codes_reach_experts_that_stay(fake, tmp_path, family, kind):
    folder = models(tmp_path, family, kind)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model = cut(folder, Split(len(folder.decoder.blocks), experts_here=99), falls_back=False)
    assert_all_same_bits(talk(CachedDecoder(model, settings("fp16"))), expected)


@pytest.mark.parametrize("fault", [{"lost": 70}, {"launch": 23}, {"at": 50, "status": 5}], ids=str)
def test_a_failure_around_experts_that_stay_changes_nothing(fake, folders, fault):
    folder = folders("qwen3-moe")
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    model = cut(folder, Split(2, experts_here=1), graphs="off")  # each launch is a call
    cached = CachedDecoder(model, settings("fp16"))
    on_cpu = forwards("cpu")
    for failing in (1, 3):

        def begin(step, failing=failing):
            fake.set(**(fault if step == failing else {}))

        assert_all_same_bits(talk(cached, begin), expected)
    assert forwards("cpu") > on_cpu


@pytest.mark.parametrize(
    ("family", "kind"),
    [("llama", "fp32"), ("qwen2", "int8"), ("qwen3", "int4"), ("qwen3-moe", "fp32"), ("qwen3-moe", "int8")],
)
def test_over_device_memory_and_disk(fake, tmp_path, family, kind):
    folder = models(tmp_path, family, kind)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    blocks = len(folder.decoder.blocks)
    for there in (1, blocks):
        residence = squeezed(folder)
        residence.cut(blocks - there)
        native = residence.weights.residency
        host = DeviceHost("cuda:0", falls_back=False)
        split = Split(there, experts_here=99 if residence.moves_experts else 0)
        model = compiled(folder, host, split, residence)
        residence.begin()
        cached = CachedDecoder(model, settings("fp16"))
        assert_all_same_bits(talk(cached), expected)
        counters = residence.counters()
        assert counters["peak_bytes"] <= native.budget
        if there == blocks and not residence.moves_experts:
            talk(cached)
            assert residence.counters()["bytes_read"] == counters["bytes_read"]  # all is on the device


def test_what_comes_and_goes_serves_when_the_device_does_not(fake, tmp_path):
    folder = models(tmp_path, "qwen2", "int8")
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    residence = squeezed(folder)
    blocks = len(folder.decoder.blocks)
    residence.cut(blocks - 1)
    model = compiled(folder, DeviceHost("cuda:0"), Split(1), residence)
    cached = CachedDecoder(model, settings("fp16"))
    for fault in ({"lost": 5}, {"launch": 2}, {"allocation": 1}):

        def begin(step, fault=fault):
            fake.set(**(fault if step in (1, 3) else {}))

        assert_all_same_bits(talk(cached, begin), expected)
    assert residence.counters()["peak_bytes"] <= residence.weights.residency.budget


@pytest.mark.parametrize("lost", [1, 2, 4, 8, 16])
def test_a_device_that_is_lost_while_parts_go_there(fake, tmp_path, lost):
    """What a copy reads must not go before the copy has ended."""
    folder = models(tmp_path, "llama", "fp32")
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    residence = squeezed(folder)
    fake.set(lost=lost)
    model = compiled(folder, DeviceHost("cuda:0"), Split(1), residence)
    assert_all_same_bits(talk(CachedDecoder(model, settings("fp16"))), expected)


def test_no_more_is_taken_than_may_be(fake):
    from arrowmind.engine.device_probe import open_device

    device = open_device("cuda:0")
    device.limit(1000)
    first = device.allocate(600)
    with pytest.raises(
        DeviceMemoryError, match=r"allocate 500 bytes: out of memory \(of the 1000 .* 600 are"
    ):
        device.allocate(500)
    assert device.taken_bytes == 600
    second = device.allocate(400)
    del first, second
    assert device.taken_bytes == 0
    fake.set(allocation=1)
    with pytest.raises(DeviceMemoryError):
        device.allocate(10)
    assert device.taken_bytes == 0


def placement(engine):
    state = engine.info()["device_state"]
    return state["blocks"], state["head"]


@pytest.mark.parametrize("form", ["fp16", "k4v4"])
def test_a_budget_is_kept_and_what_fits_is_there(fake, bytes_model, form):
    """The device itself has no more than the budget, and what it refuses is an error."""
    whole = opened(bytes_model, **{"device__fallback": "error", "generation__cache_format": form})
    wanted = texts(whole)
    blocks = whole.info()["device_state"]["of_blocks"]
    assert placement(whole) == (blocks, True)
    needed = whole.info()["device_state"]["taken_bytes"]
    whole.close()
    del whole
    gc.collect()
    seen = set()
    for share in (0.5, 0.8, 0.9, 1.0, 1.2, 1.5, 2, 3, 4):
        vram = int(needed * share)
        fake.set(memory=fake.live().get("bytes", 0) + vram * 16 // 15 + 16)
        engine = opened(bytes_model, vram, **{"device__most_used": 1.0, "generation__cache_format": form})
        before = metrics.fallback_events.values().get(("device", "out of memory"), 0)
        assert texts(engine) == wanted
        assert metrics.fallback_events.values().get(("device", "out of memory"), 0) == before
        state = engine.info().get("device_state")
        if state is not None:
            assert state["taken_bytes"] <= vram
            seen.add((state["blocks"], state["head"]))
        engine.close()
        del engine, state
        gc.collect()
    assert (blocks, True) in seen
    assert len(seen) > 1


def test_a_number_of_blocks(fake, bytes_model):
    plain = ArrowEngine(bytes_model, device="cpu", threads=2)
    for count in (0, 1):
        engine = opened(bytes_model, device__blocks=count)
        assert placement(engine) == (count, True)
        assert texts(engine) == texts(plain)
        metrics.ask_sources()
        assert metrics.device_blocks.values()["cuda:0", "device"] >= count


def test_a_device_without_room_for_anything(fake, bytes_model):
    engine = opened(bytes_model, "64KiB")
    assert engine.device == "cpu"
    assert texts(engine) == texts(ArrowEngine(bytes_model, device="cpu", threads=2))
    with pytest.raises(DeviceUnsupportedError, match="hold neither a block nor the head"):
        opened(bytes_model, "64KiB", device__fallback="error")


@pytest.mark.parametrize("vram", ["much", 0, -1, "4 parsecs"])
def test_a_budget_that_is_no_size(bytes_model, vram):
    with pytest.raises(InvalidArgumentError, match="vram="):
        ArrowEngine(bytes_model, vram=vram)


def test_no_token_is_lost_under_64_streams(fake, bytes_model):
    plain = ArrowEngine(bytes_model, device="cpu", threads=2)
    placed = opened(bytes_model, device__blocks=1, generation__cache_tokens=0)
    prompts = [f"the cat {i} sat" for i in range(64)]
    options = {"max_tokens": 12, "ignore_eos": True}
    expected = [one.text for one in plain.generate(prompts, **options)]
    before = forwards("device"), forwards("cpu")
    assert listened(fake, placed, prompts, **options) == expected
    assert forwards("device") > before[0]
    assert forwards("cpu") > before[1]


def test_ram_and_vram_of_an_engine(fake, folders):
    path = folders("llama").path
    overrides = {"residency.ram": "64GiB", "residency.max_layers": 2, "device.blocks": 1}
    engine = ArrowEngine(path, device="cuda", config=load_config(env={}, overrides=overrides))
    assert engine.device == "cuda:0"
    assert placement(engine) == (1, True)
    assert engine.info()["residency"]["prefetched"] >= 1
    assert_same_bits(engine.logits(ids(9)), ArrowEngine(path).logits(ids(9)))


@pytest.mark.parametrize("here", [0, 99])
@pytest.mark.parametrize("name", ["llama", "gemma3", "qwen3-moe", "deepseek-v3"])
def test_a_cut_on_a_device_that_is_not_the_cpu(other, folders, name, here):
    folder = folders(name)
    host = DeviceHost(f"{other}:0", falls_back=False)
    split = Split(len(folder.decoder.blocks) - 1, experts_here=here)
    model = compiled(folder, host, split)
    found = talk(CachedDecoder(model, settings("fp16")))
    wanted = talk(CachedDecoder(compiled(folder), settings("fp16")))
    for one, known in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, known, atol=5e-4, rtol=0)


@pytest.mark.slow
def test_parts_that_come_and_go_reach_a_device_that_is_not_the_cpu(other, tmp_path):
    folder = models(tmp_path, "qwen2", "int8")
    residence = squeezed(folder)
    residence.cut(1)
    model = compiled(
        folder, DeviceHost(f"{other}:0", falls_back=False), Split(len(folder.decoder.blocks) - 1), residence
    )
    found = talk(CachedDecoder(model, settings("fp16")))
    wanted = talk(CachedDecoder(compiled(folder), settings("fp16")))
    for one, known in zip(found, wanted, strict=True):
        # A code of activations that lies between two may be either.
        assert np.mean(np.abs(one - known)) < 0.02 * np.std(known)
