"""Language models on a device: the CPU's bits, and no token lost when the device fails in the middle."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.placed import (
    FAMILIES,
    PROMPTS,
    ROUTED,
    STRICT,
    compiled,
    forwards,
    ids,
    listened,
    settings,
    talk,
    texts,
)
from tests.engine.test_residence import models
from tests.engine.writers import write_stories
from tests.kernels.rows import assert_all_same_bits, assert_same_bits

from arrowmind import ArrowEngine
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.on_device import DeviceHost
from arrowmind.errors import DeviceLostError, DeviceUnsupportedError, InvalidArgumentError
from arrowmind.observe import metrics


def reread_counts():
    return sum(metrics.lost_sequences.values().values())


@pytest.mark.parametrize("form", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_bits_of_the_cpu(fake, folders, name, form):
    expected = talk(CachedDecoder(compiled(folders(name)), settings(form)))
    model = compiled(folders(name), DeviceHost("cuda:0", falls_back=False))
    cached = CachedDecoder(model, settings(form))
    on_cpu = forwards("cpu")
    assert_all_same_bits(talk(cached), expected)
    assert forwards("cpu") == on_cpu


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """Models whose weights are codes."""
    return {
        (name, kind): models(tmp_path_factory.mktemp(f"{name}-{kind}"), name, kind)
        for name, kind in (
            ("qwen2", "int4"),
            ("qwen3-moe", "int8"),
            ("deepseek-v2", "int2"),
            ("deepseek-v3", "int8"),
        )
    }


def test_codes_have_the_bits_of_the_cpu(fake, coded):
    for folder in coded.values():
        cached = CachedDecoder(compiled(folder, DeviceHost("cuda:0", falls_back=False)), settings("fp16"))
        assert_all_same_bits(talk(cached), talk(CachedDecoder(compiled(folder), settings("fp16"))))


def test_without_a_cache(fake, folders):
    tokens = [ids(length, length) for length in (30, 1, 17, 9)]
    model = compiled(folders("gemma3"), DeviceHost("cuda:0", falls_back=False))
    plain = compiled(folders("gemma3"))
    found, wanted = map(model.logits, model.states(tokens)), map(plain.logits, plain.states(tokens))
    assert_all_same_bits(found, wanted)


def test_pages_are_on_the_device_and_not_on_the_host(fake, folders):
    host = DeviceHost("cuda:0", falls_back=False)
    cached = CachedDecoder(compiled(folders("llama"), host), settings("fp16"))
    reference = CachedDecoder(compiled(folders("llama")), settings("fp16"))
    for one in (cached, reference):
        handle = one.start()
        one.append([(handle, ids(40), 1)])
    assert cached.cache_bytes == 0
    assert reference.cache_bytes == (host.info()["cache_bytes"] - 64) // 16 * 3  # 16 pages, and constants
    np.testing.assert_array_equal(cached.copy_pages(handle, 0, 2), reference.copy_pages(handle, 0, 2))
    cached.close(handle)
    cached.trim()
    assert host.info()["cache_bytes"] < 1000


FAULTS = [{"lost": call} for call in range(1, 90, 6)]
FAULTS += [{"launch": launch} for launch in range(2, 60, 11)]
FAULTS += [{"allocation": 1}, {"allocation": 2}, {"at": 20, "status": 5}]


@pytest.mark.parametrize("form", ["fp16", "int8"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_failure_anywhere_changes_nothing(fake, folders, form, fault):
    expected = talk(CachedDecoder(compiled(folders("qwen2-window")), settings(form)))
    cached = CachedDecoder(compiled(folders("qwen2-window"), DeviceHost("cuda:0")), settings(form))
    for failing in range(1, 5):

        def begin(step, failing=failing):
            fake.set(**(fault if step == failing else {}))

        assert_all_same_bits(talk(cached, begin), expected)
    fake.set()
    talk(cached)  # finds what the last failure took
    before = forwards("cpu")
    talk(cached)
    assert forwards("cpu") == before  # back on the device


@pytest.mark.parametrize(
    "fault", [{"lost": 70}, {"launch": 33}, {"at": 70, "status": 5}, {"lost": 60}], ids=str
)
def test_a_failure_between_experts_changes_nothing(fake, coded, fault):
    folder = coded["qwen3-moe", "int8"]
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    host = DeviceHost("cuda:0", graphs="off")  # each launch is a call
    cached = CachedDecoder(compiled(folder, host), settings("fp16"))
    on_cpu = forwards("cpu")
    for failing in (1, 3):

        def begin(step, failing=failing):
            fake.set(**(fault if step == failing else {}))

        assert_all_same_bits(talk(cached, begin), expected)
    assert forwards("cpu") > on_cpu


def test_what_was_lost_is_read_again_when_it_is_needed(fake, folders):
    cached = CachedDecoder(compiled(folders("llama"), DeviceHost("cuda:0")), settings("fp16"))
    handles = [cached.start() for _ in range(3)]
    cached.append([(handle, ids(20, handle), 1) for handle in handles])
    pages = [cached.copy_pages(handle, 0, 2) for handle in handles]
    before = reread_counts()
    fake.set(lost=1)
    cached.append([(handles[0], [1], 1)])
    assert reread_counts() == before + 3
    for handle, wanted in zip(handles[1:], pages[1:], strict=True):
        np.testing.assert_array_equal(cached.copy_pages(handle, 0, 2), wanted)
    assert reread_counts() == before + 3
    fake.set()
    cached.append([(handle, [2], 1) for handle in handles])
    fake.set(lost=1)
    np.testing.assert_array_equal(cached.copy_pages(handles[1], 0, 1), pages[1][:1])


def test_a_cache_that_the_device_has_no_room_for(fake, folders):
    expected = talk(CachedDecoder(compiled(folders("llama")), settings("fp16")))
    host = DeviceHost("cuda:0")
    cached = CachedDecoder(compiled(folders("llama"), host), settings("fp16"))
    before = metrics.fallback_events.values().get(("device", "out of memory"), 0)
    fake.set(memory=fake.live()["bytes"] + 20_000)
    assert_all_same_bits(talk(cached), expected)
    assert metrics.fallback_events.values()["device", "out of memory"] > before


def test_errors_where_they_are_asked_for(fake, folders):
    cached = CachedDecoder(
        compiled(folders("llama"), DeviceHost("cuda:0", falls_back=False)), settings("fp16")
    )
    handle = cached.start()
    cached.append([(handle, ids(20), 1)])
    fake.set(lost=3)
    with pytest.raises(DeviceLostError, match="fell off the bus"):
        cached.append([(handle, [1], 1)])
    assert cached.length(handle) == 20
    with pytest.raises(InvalidArgumentError, match="are not moved"):
        cached.splice(handle, 0, 1, np.zeros((0, cached.page_bytes), np.uint8))


def test_caches_whose_pages_are_moved_stay_on_the_cpu(fake, folders):
    reason = "caches whose pages are moved lie on the host"
    before = metrics.fallback_events.values().get(("device", reason), 0)
    model = compiled(folders("llama"), DeviceHost("cuda:0"))
    cached = CachedDecoder(model, settings("fp16"), on_device=False)
    cached.append([(cached.start(), ids(20), 1)])
    assert cached.cache_bytes > 0
    assert metrics.fallback_events.values()["device", reason] == before + 1
    strict = compiled(folders("llama"), DeviceHost("cuda:0", falls_back=False))
    with pytest.raises(DeviceUnsupportedError, match=reason):
        CachedDecoder(strict, settings("fp16"), on_device=False)


def test_the_engine_writes_the_same(fake, bytes_model):
    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    messages = [{"role": "user", "content": "the cat"}]
    assert texts(placed) == texts(plain)
    assert texts(placed, temperature=3.0, seed=5) == texts(plain, temperature=3.0, seed=5)
    assert placed.generate(messages, max_tokens=20).text == plain.generate(messages, max_tokens=20).text
    assert_same_bits(placed.logits("the cat"), plain.logits("the cat"))
    state = placed.info()["device_state"]
    assert state["serves"]
    assert min(state["cache_bytes"], state["weight_bytes"], state["buffer_bytes"]) > 0
    assert "cached_attention" in placed.info()["kernels"]
    assert placed.memory()["kv_cache"] == 0
    metrics.ask_sources()
    told = metrics.device_memory.values()
    assert told["cuda:0", "caches"] >= state["cache_bytes"]
    assert told["cuda:0", "weights"] >= state["weight_bytes"]
    assert metrics.device_serves.values()[("cuda:0",)] == 1


def test_a_real_model_token_for_token(fake, shared_data, tmp_path):
    folder = write_stories(shared_data, tmp_path / "stories")
    plain, placed = ArrowEngine(folder, threads=2), ArrowEngine(folder, device="cuda", config=STRICT)
    prompt = "Once upon a time"
    assert placed.generate(prompt, max_tokens=60).token_ids == plain.generate(prompt, max_tokens=60).token_ids


def test_no_token_is_lost_under_64_streams(fake, bytes_model):
    plain, placed = (ArrowEngine(bytes_model, device=name, threads=2) for name in ("cpu", "cuda"))
    prompts = [f"{PROMPTS[i % 4]} {i}" for i in range(64)]
    options = {"max_tokens": 16, "ignore_eos": True}
    expected = [one.text for one in plain.generate(prompts, **options)]
    before = forwards("device"), forwards("cpu")
    assert listened(fake, placed, prompts, **options) == expected
    assert forwards("device") > before[0]
    assert forwards("cpu") > before[1]


@pytest.mark.parametrize("form", ["fp32", "int8"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_on_a_device_that_is_not_the_cpu(other, folders, name, form):
    host = DeviceHost(f"{other}:0", falls_back=False)
    found = talk(CachedDecoder(compiled(folders(name), host), settings(form)))
    wanted = talk(CachedDecoder(compiled(folders(name)), settings(form)))
    for one, known in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, known, atol=5e-3 if form == "int8" else 5e-5, rtol=0)


@pytest.mark.parametrize("other", ["cuda"], indirect=True)
@pytest.mark.parametrize("name", ["llama", "qwen3-moe", "deepseek-v2"])
def test_mixed_precision_is_near_and_says_so(other, folders, name):
    host = DeviceHost(f"{other}:0", falls_back=False, mixed=True)
    model = compiled(folders(name), host)
    found = talk(CachedDecoder(model, settings("fp32")))
    wanted = talk(CachedDecoder(compiled(folders(name)), settings("fp32")))
    differences = [
        np.abs(one - known).mean() / np.std(known) for one, known in zip(found, wanted, strict=True)
    ]
    assert 1e-5 < max(differences) < 0.02
    assert host.info()["precision"] == "mixed"
    kernels = model.kernels()
    assert "linear_bf16_f32" in kernels
    assert ("linear_bf16_f32_grouped" in kernels) == (name in ROUTED)


def test_codes_on_a_device_that_is_not_the_cpu(other, coded):
    host = DeviceHost(f"{other}:0", falls_back=False)
    for folder in coded.values():
        found = talk(CachedDecoder(compiled(folder, host), settings("fp16")))
        wanted = talk(CachedDecoder(compiled(folder), settings("fp16")))
        for one, known in zip(found, wanted, strict=True):
            # A code of activations that lies between two may be either, and a close choice of experts, too.
            assert np.mean(np.abs(one - known)) < 0.02 * np.std(known)


def test_a_real_model_token_for_token_on_a_device_that_is_not_the_cpu(other, shared_data, tmp_path):
    folder = write_stories(shared_data, tmp_path / "stories")
    plain, placed = ArrowEngine(folder, threads=2), ArrowEngine(folder, device=other, config=STRICT)
    for prompt in ("Once upon a time", "The dog"):
        wanted = plain.generate(prompt, max_tokens=40).token_ids
        assert placed.generate(prompt, max_tokens=40).token_ids == wanted
    assert placed.info()["device_state"]["cache_bytes"] > 0
