"""Caches of 4 and 3 bits on a device: the CPU's bits, and no token lost when the device fails."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.placed import FAMILIES, forwards, ids
from tests.engine.writers import write_stories
from tests.kernels.rows import assert_all_same_bits, assert_same_bits

from arrowmind import ArrowEngine, _native
from arrowmind.engine.bodies import Split
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.engine.on_device import DeviceHost
from arrowmind.errors import DeviceLostError
from arrowmind.observe import metrics

SMALL = ["k4v4", "k4v3"]
WINDOW = 160


def settings(form, **change):
    return CacheSettings(**{"format": form, "page_tokens": 16, "recent": 24, "max_tokens": 640, **change})


def reread_counts():
    return sum(metrics.lost_sequences.values().values())


def compiled(folder, host=None, split=None):
    pool = _native.ThreadPool(2)
    return LanguageModel(folder.decoder, folder.weights, WINDOW, pool, host=host, split=split)


def placed(folder, split=None, *, falls_back=True, device="cuda:0", graphs="auto"):
    return compiled(folder, DeviceHost(device, falls_back=falls_back, graphs=graphs), split)


def talk(cached, begin=lambda step: None, cut=7):
    """Logits of sequences whose pages become small, forks of them, what was cut off, and what goes on."""
    first, second = cached.start(), cached.start()
    found = []

    def step(*feeds):
        begin(len(found))
        found.append(np.concatenate(cached.append(list(feeds))))

    step((first, ids(70), 3), (second, ids(3, 1), 1))
    step((second, ids(45, 2), 2), (first, [6], 1))
    third = cached.fork(first, 63)
    step((third, ids(9, 3), 4), (first, [7], 1))
    cached.forget(first, cut)
    fourth = cached.fork(third, 60)
    step((first, ids(30, 4), 2), (second, [9], 1), (fourth, [1, 2], 2))
    cached.close(third)
    step((fourth, [3], 1), (first, [4], 1), (second, ids(20, 5), 20))
    for handle in (first, second, fourth):
        cached.close(handle)
    return found


def check(cached, expected, begin=lambda step: None, **options):
    assert_all_same_bits(talk(cached, begin, **options), expected)


@pytest.mark.parametrize("form", SMALL)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_bits_of_the_cpu(fake, folders, name, form):
    folder, on_cpu = folders(name), forwards("cpu")
    cached = CachedDecoder(placed(folder, falls_back=False), settings(form))
    for cut in (7, 55):  # the latter expands pages that are small alone
        check(cached, talk(CachedDecoder(compiled(folder), settings(form)), cut=cut), cut=cut)
    assert forwards("cpu") == on_cpu
    assert cached.cache_bytes == 0  # all pages were on the device


def test_a_cut_in_what_is_small_alone(fake, folders):
    """A sequence that goes back further than its pages in full, and a fork of what is left."""
    folder = folders("llama")
    found = []
    for model in (compiled(folder), placed(folder, falls_back=False)):
        cached = CachedDecoder(model, settings("k4v4"))
        handle = cached.start()
        cached.append([(handle, ids(140), 1)])
        cached.forget(handle, 70)
        other = cached.fork(handle, 35)
        found.append(cached.append([(handle, ids(50, 1), 50), (other, ids(40, 2), 40)]))
    assert_all_same_bits(*found)


FAULTS = [{"lost": call} for call in range(1, 110, 9)]
FAULTS += [{"launch": launch} for launch in range(2, 60, 11)]
FAULTS += [{"allocation": 1}, {"allocation": 2}, {"at": 20, "status": 5}]


@pytest.mark.parametrize("split", [None, Split(1)], ids=["whole", "cut"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_failure_anywhere_changes_nothing(fake, folders, fault, split):
    folder = folders("qwen2-window")
    expected = talk(CachedDecoder(compiled(folder), settings("k4v3")))
    cached = CachedDecoder(placed(folder, split), settings("k4v3"))
    for failing in range(1, 5):
        check(cached, expected, lambda step, failing=failing: fake.set(**(fault if step == failing else {})))
    fake.set()
    talk(cached)
    before = forwards("cpu")
    talk(cached)
    assert forwards("cpu") == before  # back on the device


def test_pages_go_to_and_fro_at_every_step(fake, folders):
    """On the device and on the host by turns, a token at a time; the pages that are small with them."""
    folder = folders("llama")
    tokens = ids(120)
    there = placed(folder, graphs="off")  # each kernel in its turn fails
    plain, cached = (CachedDecoder(model, settings("k4v4")) for model in (compiled(folder), there))
    handles = [one.start() for one in (plain, cached)]
    before = forwards("device"), forwards("cpu")
    for place, token in enumerate(tokens):
        fake.set(**({"launch": 1 + place % 7} if place % 2 else {}))
        found, wanted = (
            one.append([(handle, [token], 1)])[0]
            for one, handle in zip((cached, plain), (handles[1], handles[0]), strict=True)
        )
        assert_same_bits(found, wanted)
    assert forwards("device") >= before[0] + 60
    assert forwards("cpu") >= before[1] + 60


def test_what_was_lost_is_read_again_and_shared_as_before(fake, folders):
    folder = folders("llama")
    plain, cached = (CachedDecoder(model, settings("k4v4")) for model in (compiled(folder), placed(folder)))
    pairs = [(one, one.start()) for one in (plain, cached)]
    for one, handle in pairs:
        one.append([(handle, ids(125), 1)])
    forks = [[one.fork(handle, 121 + i) for i in range(4)] for one, handle in pairs]
    before = reread_counts()
    fake.set(lost=1)
    for turn in range(2):
        found, wanted = (
            one.append([(handle, [turn], 1) for handle in (first, *more)])
            for (one, first), more in zip(pairs[::-1], forks[::-1], strict=True)
        )
        assert_all_same_bits(found, wanted)
    assert reread_counts() == before + 5
    assert cached.free_tokens == plain.free_tokens
    assert cached.cache_bytes <= plain.cache_bytes + 3 * cached.page_bytes


def test_a_cache_without_room_is_read_again_page_by_page(fake, folders):
    """Pages in full of a whole part find no room beside the other sequence; one after the other they do."""
    folder = folders("llama")
    tight = settings("k4v4", max_tokens=256, prefill_chunk=16)
    plain, cached = (CachedDecoder(model, tight) for model in (compiled(folder), placed(folder)))
    found = []
    for one in (plain, cached):
        fake.set()
        handles = [one.start() for _ in range(2)]
        for seed, handle in enumerate(handles):
            for begin in range(0, 100, 10):
                one.append([(handle, ids(100, seed)[begin : begin + 10], 1)])
        fake.set(lost=1)
        found.append([one.append([(handle, [5], 1)])[0] for handle in handles])
    assert_all_same_bits(*found)


def test_errors_where_they_are_asked_for(fake, folders):
    cached = CachedDecoder(placed(folders("llama"), falls_back=False), settings("k4v3"))
    handle = cached.start()
    cached.append([(handle, ids(90), 1)])
    fake.set(lost=3)
    with pytest.raises(DeviceLostError, match="fell off the bus"):
        cached.append([(handle, [1], 1)])
    assert cached.length(handle) == 90


@pytest.mark.parametrize("name", ["llama", "gemma3", "deepseek-v2"])
def test_blocks_that_pass_for_prompts(fake, folders, name):
    folder = folders(name)
    expected = talk(CachedDecoder(compiled(folder), settings("k4v3")))
    split = Split(1, prompt_rows=1)
    on_cpu = forwards("cpu")
    check(CachedDecoder(placed(folder, split, falls_back=False), settings("k4v3")), expected)
    assert forwards("cpu") == on_cpu
    cached = CachedDecoder(placed(folder, split), settings("k4v3"))
    for fault in ({"lost": 40}, {"launch": 9}, {"lost": 3}):
        for failing in (1, 3):
            check(
                cached,
                expected,
                lambda step, fault=fault, failing=failing: fake.set(**(fault if step == failing else {})),
            )
    fake.set()


def near(found, wanted):
    for one, known in zip(found, wanted, strict=True):
        # A code that lies between two may be either.
        assert np.abs(one - known).max() < 2e-2 * np.abs(known).max()
        assert np.mean(np.abs(one - known)) < 2e-3 * np.std(known)


@pytest.mark.parametrize("form", SMALL)
@pytest.mark.parametrize("name", ["llama", "qwen2-window", "gemma3"])
def test_a_device_that_is_not_the_cpu(other, folders, name, form):
    model = placed(folders(name), falls_back=False, device=f"{other}:0")
    found = talk(CachedDecoder(model, settings(form)), cut=55)
    near(found, talk(CachedDecoder(compiled(folders(name)), settings(form)), cut=55))


def test_blocks_that_pass_through_a_device_that_is_not_the_cpu(other, folders):
    folder = folders("llama")
    model = placed(folder, Split(1, prompt_rows=1), falls_back=False, device=f"{other}:0")
    found = talk(CachedDecoder(model, settings("k4v3")))
    near(found, talk(CachedDecoder(compiled(folder), settings("k4v3"))))


def greedy(cached, prompt, count):
    handle, tokens = cached.start(), list(prompt)
    rows = cached.append([(handle, tokens, 1)])[0]
    for _ in range(count):
        tokens.append(int(rows[-1].argmax()))
        rows = cached.append([(handle, tokens[-1:], 1)])[0]
    return tokens


def test_a_real_model_token_for_token_on_a_device_that_is_not_the_cpu(other, shared_data, tmp_path):
    path = write_stories(shared_data, tmp_path / "stories")
    folder = ModelFolder(path)
    prompt = ArrowEngine(path, threads=2).tokenise("Once upon a time, there was a little dog named Tim.")
    before = metrics.fallback_events.values()
    made = [
        greedy(CachedDecoder(model, settings("k4v4")), prompt, 70)
        for model in (compiled(folder), placed(folder, falls_back=False, device=f"{other}:0"))
    ]
    assert made[0] == made[1]
    assert metrics.fallback_events.values() == before
