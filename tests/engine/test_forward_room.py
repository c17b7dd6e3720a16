"""Forwards as large as fill a device: long prompts come in fewer parts, same bits, within a budget."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.placed import FAMILIES, SMALL, WINDOW, compiled, forwards, ids, opened, settings, texts
from tests.kernels.rows import assert_all_same_bits

from arrowmind import ArrowEngine
from arrowmind.config import load_config
from arrowmind.engine import placed_cache
from arrowmind.engine.bodies import Split
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.device_room import BlockSizes, DeviceRoom
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.forward_room import MOST_ROWS, ForwardBound, bound_of
from arrowmind.engine.on_device import DeviceHost
from arrowmind.engine.opening import device_forwards
from arrowmind.engine.rates import DeviceRates
from arrowmind.engine.sharing import share_of
from arrowmind.observe import metrics

MIB = 1 << 20
SHARES, OWN = {"shares_host_memory": True}, {"shares_host_memory": False}
LONG = 50
CONFIG = load_config(env={}, overrides=SMALL)
THERE = DeviceRates(memory=1e7, prompt=1e8)


@pytest.mark.parametrize(
    ("room", "place", "expected"),
    [
        (0, 0, 64 * MIB),  # it does not say
        (512 * MIB, 0, 64 * MIB),
        (8192 * MIB, 0, 512 * MIB),
        (139 << 30, 0, (139 << 30) // 16),
        (139 << 30, 128 * MIB, 64 * MIB),  # what Vulkan promises
        (139 << 30, 4 << 30, 2 << 30),
        (0, 2 * MIB, MIB),
    ],
)
def test_a_share_of_the_room_that_a_kernel_takes(room, place, expected):
    assert bound_of(room, place, 0, **OWN) == ForwardBound(expected, MOST_ROWS, fills=True)


def test_rows_that_are_asked_for_and_devices_of_the_pace_of_the_cpu():
    assert bound_of(0, 0, 100, **OWN).rows_beside(512) == 100
    assert bound_of(0, 0, 0, **OWN).rows_beside(512) == MOST_ROWS
    assert bound_of(0, 0, 0, **SHARES).rows_beside(512) == 512
    assert bound_of(0, 0, 100, **SHARES).rows_beside(512) == 100


ROOM = DeviceRoom((BlockSizes(10, 0, 2),), 30, 5, 7, forward=4, wider=80)


@given(st.integers(0, 300))
def test_wider_forwards_take_what_is_left_and_no_more(room):
    assert 0 <= ROOM.widened(room) <= 80
    if room >= ROOM.whole:
        assert ROOM.taken_whole(room) <= room
        assert ROOM.widened(room) in (80, int((room - ROOM.whole) / 1.125))
    else:
        assert ROOM.taken_whole(room) == ROOM.whole


@pytest.fixture
def parts(monkeypatch):
    """Rows of what the CPU runs in a device's place."""
    found = []
    original = placed_cache.cut_rows

    def spy(offsets, most):
        for part in original(offsets, most):
            found.append(int(part.offsets[-1]))
            yield part

    monkeypatch.setattr(placed_cache, "cut_rows", spy)
    return found


def feeds_of(cached):
    return [(cached.start(), ids(LONG), LONG), (cached.start(), ids(7, 1), 2)]


@pytest.mark.parametrize(
    ("flags", "rows", "form", "runs"),
    [(0, 0, "fp16", 1), (0, 64, "fp16", 1), (0, 20, "fp16", 3), (1, 0, "fp16", 7), (0, 0, "k4v4", 7)],
)
def test_how_many_forwards_a_prompt_takes(fake, folders, flags, rows, form, runs):
    fake.set(flags=flags)
    host = DeviceHost("cuda:0", falls_back=False, forward_rows=rows)
    cached = CachedDecoder(compiled(folders("llama"), host), settings(form))
    plain = CachedDecoder(compiled(folders("llama")), settings(form))
    before = forwards("device")
    found = cached.append(feeds_of(cached))
    assert forwards("device") == before + runs + 1  # and the head
    assert_all_same_bits(found, plain.append(feeds_of(plain)))


def test_the_cpu_in_its_place_reads_as_many_as_it_has_memory_for(fake, folders, parts):
    plain = CachedDecoder(compiled(folders("llama")), settings("fp16"))
    expected = plain.append(feeds_of(plain))
    cached = CachedDecoder(compiled(folders("llama"), DeviceHost("cuda:0", graphs="off")), settings("fp16"))
    feeds = feeds_of(cached)
    fake.set(launch=9)
    assert_all_same_bits(cached.append(feeds), expected)
    assert parts == [9] * 6 + [3]


def test_a_part_that_fails_leaves_nothing_of_those_before(fake, folders, monkeypatch):
    cached = CachedDecoder(compiled(folders("llama"), DeviceHost("cuda:0", graphs="off")), settings("fp16"))
    feeds = feeds_of(cached)
    original = placed_cache.cut_rows

    def failing(offsets, most):
        for at, part in enumerate(original(offsets, most)):
            if at == 3:
                raise KeyboardInterrupt
            yield part

    with monkeypatch.context() as patch:
        patch.setattr(placed_cache, "cut_rows", failing)
        fake.set(launch=9)
        with pytest.raises(KeyboardInterrupt):
            cached.append(feeds)
    assert [cached.length(handle) for handle, _, _ in feeds] == [0, 0]
    fake.set()
    plain = CachedDecoder(compiled(folders("llama")), settings("fp16"))
    assert_all_same_bits(cached.append(feeds), plain.append(feeds_of(plain)))


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_are_reckoned_before_there_is_a_plan(fake, folders, name):
    """And their memory grows as they do, whatever they attend to."""
    folder = folders(name)
    room = device_forwards(folder, load_config(env={}))
    host = DeviceHost("cuda:0", falls_back=False)
    model = compiled(folder, host)
    (plan,) = (one for one in host._opened.plans.values() if "cached_attention" in str(one.kernels()))
    assert model.rows_at_once(16) == MOST_ROWS
    assert plan.most_rows(room.row * 512) >= 512
    most = [plan.most_rows(size * MIB) for size in (4, 8, 16)]
    assert most[0] > 64
    assert most[2] >= most[1] * 2 - 128 >= most[0] * 4 - 384
    assert most[1] <= most[0] * 2 + 128
    assert plan.most_rows(1) == 64


def test_more_than_a_kernel_takes_at_a_place_is_never_given(fake, folders):
    """It would be refused, and the model left to the CPU for good."""
    place = 1 << 20
    fake.set(place=place, binds=1)
    before = dict(metrics.fallback_events.values())
    host = DeviceHost("cuda:0")
    model = compiled(folders("llama"), host)
    assert WINDOW < model.rows_at_once(4096) < 512
    cached = CachedDecoder(model, settings("fp16", chunk=4096))
    feeds = [(cached.start(), ids(WINDOW - 1, at), 1) for at in range(8)]
    found = cached.append(feeds)
    assert dict(metrics.fallback_events.values()) == before
    plain = CachedDecoder(compiled(folders("llama")), settings("fp16"))
    assert_all_same_bits(found, plain.append([(plain.start(), *feed[1:]) for feed in feeds]))


def test_a_budget_holds_wider_forwards_where_it_holds_all(fake, bytes_model):
    """Blocks come first; then forwards grow; and what is foretold is what may be taken."""
    folder = ModelFolder(bytes_model)
    whole = opened(bytes_model, device__fallback="error")
    wanted, state = texts(whole), whole.info()["device_state"]
    blocks, needed = state["of_blocks"], state["taken_bytes"]
    whole.close()
    del whole
    gc.collect()
    seen = {}
    for share in (2.0, 2.5, 3.0, 4.0, 8.0):
        vram = int(needed * share)
        engine = opened(bytes_model, vram)
        assert texts(engine) == wanted
        state = engine.info()["device_state"]
        assert state["taken_bytes"] <= vram
        seen[share] = (state["blocks"], state["forward_bytes"])
        foretold = share_of(DeviceHost("cuda:0", vram=vram), folder, CONFIG, THERE)
        wider = foretold.counted.widened(foretold.room) if state["blocks"] == blocks else 0
        assert state["forward_bytes"] == foretold.counted.forward + wider
        engine.close()
        del engine
        gc.collect()
    assert seen[8.0][0] == blocks
    sizes = [size for there, size in seen.values() if there == blocks]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]
    parts = {size for there, size in seen.values() if there < blocks}
    assert len(parts) == 1
    assert max(parts) <= sizes[0]


def test_buffers_that_are_kept_are_a_few_of_the_largest(fake, folders):
    host = DeviceHost("cuda:0", falls_back=False)
    model = compiled(folders("llama"), host)
    host.limit_forwards(MIB)
    for count in range(1, 40):
        model.states([ids(WINDOW)] * count)
    assert host._opened.memory.counters()["peak_in_use_bytes"] <= 2 * MIB
    assert host.info()["buffer_bytes"] <= host.forwards.kept_bytes == 4 * MIB


def test_a_device_that_comes_back_keeps_its_bound(fake, folders):
    fake.set(memory=4 << 30)
    host = DeviceHost("cuda:0")
    model = compiled(folders("llama"), host)
    assert host.forwards.bytes == (4 << 30) * 15 // 16 // 16
    model.logits(model.states([ids(5)])[0])
    fake.set(lost=1, memory=4 << 30)
    model.states([ids(5)])
    assert model.rows_at_once(16) == 16  # the CPU serves
    fake.set(memory=2 << 30)
    model.states([ids(5)])
    assert model.rows_at_once(16) == MOST_ROWS
    assert host.forwards.bytes == (4 << 30) * 15 // 16 // 16


def test_parts_of_a_model_read_as_the_cpu_before_them_does(fake, folders):
    folder = folders("llama")
    blocks = len(folder.decoder.blocks)
    model = compiled(folder, DeviceHost("cuda:0", falls_back=False), Split(blocks - 1))
    assert model.rows_at_once(9) == 9
    small = compiled(folder, DeviceHost("cuda:0", falls_back=False, forward_rows=5), Split(blocks - 1))
    assert small.rows_at_once(9) == 5


def test_prompts_come_as_wide_as_the_device_is(fake, bytes_model):
    prompts = ["the cat sat on the mat, and " * 8] * 3
    before = forwards("device")
    engine = opened(bytes_model, generation__prompt_tokens=16, generation__prefill_chunk=16)
    found = [one.token_ids for one in engine.generate(prompts[:1], max_tokens=1)]
    wide = forwards("device") - before
    engine.close()
    narrow = opened(
        bytes_model,
        generation__prompt_tokens=16,
        generation__prefill_chunk=16,
        device__forward_rows=16,
    )
    before = forwards("device")
    assert [one.token_ids for one in narrow.generate(prompts[:1], max_tokens=1)] == found
    assert forwards("device") - before > 2 * wide
    narrow.close()
    plain = ArrowEngine(bytes_model, device="cpu", threads=2)
    assert [one.token_ids for one in plain.generate(prompts[:1], max_tokens=1)] == found
