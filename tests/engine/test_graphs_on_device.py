"""Forwards that run as one: the same bits, fewer launches, and what becomes of them when anything changes."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from tests.engine.placed import (
    FAMILIES,
    STRICT,
    TEXTS,
    compiled,
    forwards,
    ids,
    opened,
    settings,
    talk,
)
from tests.kernels.rows import assert_all_same_bits, assert_same_bits

from arrowmind import ArrowEngine
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.on_device import DeviceHost
from arrowmind.observe import metrics

EXPERTS = [name for name in FAMILIES if "moe" in name or name.startswith(("mixtral", "deepseek"))]
WARM = 3


def placed(folder, form="fp16", graphs="check", **options):
    """A decoder on the device, and its host."""
    host = DeviceHost("cuda:0", falls_back=options.pop("falls_back", False), graphs=graphs)
    return CachedDecoder(compiled(folder, host), settings(form, **options)), host


def begin(cached, count=3):
    handles = [cached.start() for _ in range(count)]
    cached.append([(handle, ids(5 + at, at), 1) for at, handle in enumerate(handles)])
    return handles


def step(cached, handles, token=5):
    return np.concatenate(cached.append([(handle, [token], 1) for handle in handles]))


def write(cached, steps=36):
    """Some tokens of sequences that are joined by one, and left by one, while pages come and go."""
    handles = begin(cached)
    found = []
    for at in range(steps):
        if at == 12:
            handles.append(cached.fork(handles[0], 9))
        if at == 20:
            cached.close(handles.pop(1))
        found.append(step(cached, handles, 3 + at % 40))
    for handle in handles:
        cached.close(handle)
    return found


@pytest.mark.parametrize("form", ["fp32", "int8"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_bits_of_the_cpu(fake, folders, name, form):
    cached, host = placed(folders(name), form)
    wanted = CachedDecoder(compiled(folders(name)), settings(form))
    assert_all_same_bits(write(cached), write(wanted))
    assert_all_same_bits(talk(cached), talk(wanted))
    told = host.info()["graphs"]
    assert told["runs"] > 30
    assert told["failed"] == fake.report()["stale"] == 0


@pytest.mark.parametrize("form", ["k4v4", "k4v3"])
def test_pages_that_become_small(fake, folders, form):
    cached, host = placed(folders("llama"), form)
    wanted = CachedDecoder(compiled(folders("llama")), settings(form))
    assert_all_same_bits(write(cached, 50), write(wanted, 50))
    assert host.info()["graphs"]["runs"] > 50


def counted(fake, cached, handles):
    fake.set()
    step(cached, handles)
    told = fake.report()
    assert told["stale"] == 0
    return told["launches"], told["graph_runs"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_token_is_a_run_or_two_and_no_launch(fake, folders, name):
    launches = {}
    for graphs in ("auto", "off"):
        cached, _ = placed(folders(name), graphs=graphs)
        handles = begin(cached)
        for _ in range(WARM):
            step(cached, handles)
        launches[graphs] = counted(fake, cached, handles)
    assert launches["auto"] == (0, 2)  # blocks, and head
    assert launches["off"][0] > 20
    assert launches["off"][1] == 0


@pytest.mark.parametrize("name", EXPERTS)
def test_experts_that_the_host_looks_at_are_between_the_pieces(fake, folders, name):
    launches = {}
    for graphs in ("auto", "off"):
        fake.set(place=64)  # no room for all of a layer at a place: expert by expert
        cached, host = placed(folders(name), graphs=graphs)
        handles = begin(cached)
        for _ in range(WARM):
            step(cached, handles)
        launches[graphs] = counted(fake, cached, handles)
    assert 2 < launches["auto"][1] <= 2 + len(folders(name).decoder.blocks)
    assert 0 < launches["auto"][0] < launches["off"][0] - 20
    assert host.info()["graphs"] == dict.fromkeys(host.info()["graphs"], 0)


def test_a_text_that_grows_keeps_its_graphs_but_for_longer_tables(fake, folders):
    cached, host = placed(folders("llama"))
    handles = begin(cached, 1)
    for _ in range(50):
        step(cached, handles)
    assert host.info()["graphs"]["made"] <= 4


def test_what_came_once_is_not_made_ready(fake, folders):
    cached, host = placed(folders("llama"))
    for length in range(2, 10):
        handle = cached.start()
        cached.append([(handle, ids(length), 1)])
        cached.close(handle)
    assert host.info()["graphs"]["made"] <= 1  # of the head, which sees one row each time


def test_pages_that_moved_are_never_read_where_they_were(fake, folders):
    """Pages go to the host and back, a cache goes and another comes, and buffers grow."""
    wanted = CachedDecoder(compiled(folders("llama")), settings("fp16"))
    cached, host = placed(folders("llama"))
    for _ in range(3):
        assert_all_same_bits(write(cached, 8), write(wanted, 8))
        cached.trim()
    handles, others = begin(cached, 8), begin(wanted, 8)
    for at in range(30):
        assert_same_bits(step(cached, handles, at), step(wanted, others, at))
    again = CachedDecoder(cached._language, settings("fp16"))
    assert_all_same_bits(write(again, 8), write(wanted, 8))
    assert fake.report()["stale"] == 0
    assert host.info()["graphs"]["runs"] > 40


def test_memory_that_is_short_takes_the_graphs_first(fake, folders):
    cached, host = placed(folders("llama"))
    handles = begin(cached)
    for _ in range(WARM):
        step(cached, handles)
    assert host.info()["graphs"]["held"] == fake.live()["graphs"] >= 2
    host._opened.give_way()
    assert host.info()["graphs"]["held"] == 0
    assert "graphs" not in fake.live()
    step(cached, handles)
    del cached, host
    gc.collect()
    assert fake.live() == {}


@pytest.mark.parametrize("status", [1, 2, 4, 5])
def test_a_device_that_makes_none_runs_as_ever(fake, folders, status):
    cached, host = placed(folders("llama"))
    wanted = CachedDecoder(compiled(folders("llama")), settings("fp16"))
    fake.set(making=status)
    before = forwards("cpu")
    assert_all_same_bits(write(cached), write(wanted))
    assert forwards("cpu") == before
    told = host.info()["graphs"]
    assert (told["runs"], told["held"]) == (0, 0)
    assert told["failed"] == 2 if status == 4 else 2 <= told["failed"] <= 8
    fake.set()
    for _ in range(2):
        assert_all_same_bits(write(cached), write(wanted))
    assert (host.info()["graphs"]["runs"] == 0) == (status == 4)  # it may come back, but where it never will


def calls_of(fake, cached, handles):
    fake.set()
    step(cached, handles)
    return fake.report()["calls"]


@pytest.mark.parametrize("name", ["qwen2", "qwen3-moe"])
@pytest.mark.parametrize("fault", ["lost", "at"])
def test_no_token_is_lost_whichever_call_fails(fake, folders, name, fault):
    fake.set(place=64)  # experts in pieces, where there are any
    cached, _ = placed(folders(name), falls_back=True)
    wanted = CachedDecoder(compiled(folders(name)), settings("fp16"))
    handles, others = begin(cached), begin(wanted)
    for _ in range(WARM):
        assert_same_bits(step(cached, handles), step(wanted, others))
    calls = calls_of(fake, cached, handles)
    step(wanted, others)
    assert 10 < calls < 400
    failing = forwards("cpu")
    for call in range(1, calls + 1, 1 if name == "qwen2" else 7):
        fake.set(**({"lost": call} if fault == "lost" else {"at": call, "status": 2 + 3 * (call % 2)}))
        assert_same_bits(step(cached, handles, call % 40), step(wanted, others, call % 40))
        fake.set()
        for _ in range(2):  # back on the device, with graphs made anew
            assert_same_bits(step(cached, handles), step(wanted, others))
        assert fake.report()["stale"] == 0
        if cached.length(handles[0]) > 50:
            for one, each in ((cached, handles), (wanted, others)):
                for handle in each:
                    one.close(handle)
            handles, others = begin(cached), begin(wanted)
    assert forwards("cpu") > failing
    for _ in range(WARM):
        step(cached, handles)
    assert counted(fake, cached, handles)[1] >= 2


def test_the_nth_run_fails(fake, folders):
    cached, host = placed(folders("gemma3"), falls_back=True)
    wanted = CachedDecoder(compiled(folders("gemma3")), settings("fp16"))
    handles, others = begin(cached), begin(wanted)
    for run in range(24):
        fake.set(graph=1 + run % 4)
        assert_same_bits(step(cached, handles), step(wanted, others))
    fake.set()
    assert host.info()["graphs"]["runs"] > 2


def test_threads_that_write_at_once(fake, folders):
    """Forwards of encoders run side by side; each of them has memory of its own."""
    model = compiled(folders("llama"), DeviceHost("cuda:0", falls_back=False, graphs="check"))
    wanted = [one.copy() for one in compiled(folders("llama")).states([ids(9, seed) for seed in range(4)])]
    failed = []

    def read(seed):
        for _ in range(25):
            (found,) = model.states([ids(9, seed)])
            if not np.array_equal(found, wanted[seed]):
                failed.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert fake.report()["stale"] == 0


def test_encoders_that_see_the_same_shape_again(fake, encoder, encoded):
    engine = ArrowEngine(encoder, device="cuda", threads=2, config=STRICT)
    for _ in range(4):
        np.testing.assert_array_equal(engine.encode(TEXTS), encoded)
    told = engine.info()["device_state"]["graphs"]
    assert told["runs"] >= 2
    assert told["launches"] > 10 * told["runs"]


def test_what_is_told_and_what_is_set(fake, bytes_model):
    plain, engine = ArrowEngine(bytes_model, device="cpu", threads=2), opened(bytes_model)
    off = opened(bytes_model, device__graphs="off")
    text = plain.generate("the cat", max_tokens=24, ignore_eos=True).token_ids
    assert engine.generate("the cat", max_tokens=24, ignore_eos=True).token_ids == text
    assert off.generate("the cat", max_tokens=24, ignore_eos=True).token_ids == text
    told = engine.info()["device_state"]["graphs"]
    assert told["made"] >= told["held"] >= 2
    assert told["held_launches"] > 20
    assert told["runs"] > 30
    assert set(off.info()["device_state"]["graphs"].values()) == {0}
    metrics.ask_sources()
    assert metrics.device_graphs.values()["cuda:0", "runs"] >= told["runs"]
    assert metrics.device_graphs.values()["cuda:0", "launches"] >= told["launches"]
