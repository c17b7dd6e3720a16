"""Models of which a part is on a device: the CPU's bits wherever they are cut, and whatever fails."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tests.engine.placed import FAMILIES, compiled, cut, forwards, ids, settings, talk
from tests.kernels.rows import assert_all_same_bits

from arrowmind.engine.bodies import Split
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.errors import CacheFullError, DeviceLostError, InvalidArgumentError


def splits(folder):
    """Nothing there but the head, one block, half of them, all."""
    blocks = len(folder.decoder.blocks)
    return [Split(count) for count in sorted({0, 1, blocks // 2, blocks})] + [Split(1, head=False)]


@pytest.mark.parametrize("form", ["fp16", "int8"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_bits_of_the_cpu_wherever_it_is_cut(fake, folders, name, form):
    folder = folders(name)
    expected = talk(CachedDecoder(compiled(folder), settings(form)))
    plain = compiled(folder).states([ids(30), ids(4, 1)])
    for split in splits(folder):
        model = cut(folder, split, falls_back=False)
        on_cpu, there = forwards("cpu"), forwards("device")
        assert_all_same_bits(talk(CachedDecoder(model, settings(form))), expected)
        assert_all_same_bits(model.states([ids(30), ids(4, 1)]), plain)
        assert forwards("cpu") == on_cpu
        assert forwards("device") > there


FAULTS = [{"lost": call} for call in range(1, 60, 7)]
FAULTS += [{"launch": launch} for launch in range(2, 40, 9)]
FAULTS += [{"allocation": 1}, {"allocation": 2}, {"at": 20, "status": 5}]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_failure_anywhere_changes_nothing(fake, folders, fault):
    folder = folders("qwen2-window")
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    for split in splits(folder)[1:]:
        cached = CachedDecoder(cut(folder, split), settings("fp16"))
        for failing in range(1, 5):

            def begin(step, failing=failing):
                fake.set(**(fault if step == failing else {}))

            assert_all_same_bits(talk(cached, begin), expected)
        fake.set()
        talk(cached)  # finds what the last failure took
        before = forwards("cpu")
        talk(cached)
        assert forwards("cpu") == before  # back on the device


def test_what_was_lost_is_read_again_by_both_parts(fake, folders):
    cached = CachedDecoder(cut(folders("llama"), Split(1)), settings("fp16"))
    handles = [cached.start() for _ in range(3)]
    cached.append([(handle, ids(20, handle), 1) for handle in handles])
    pages = [cached.copy_pages(handle, 0, 2) for handle in handles]
    fake.set(lost=1)
    cached.append([(handles[0], [1], 1)])
    for handle, wanted in zip(handles[1:], pages[1:], strict=True):
        np.testing.assert_array_equal(cached.copy_pages(handle, 0, 2), wanted)
    assert [cached.length(handle) for handle in handles] == [21, 20, 20]


def test_pages_lie_where_their_blocks_run(fake, folders):
    folder = folders("llama")
    whole = CachedDecoder(compiled(folder), settings("fp16"))
    cached = CachedDecoder(cut(folder, Split(1)), settings("fp16"))
    for one in (whole, cached):
        handle = one.start()
        one.append([(handle, ids(40), 1)])
    blocks = len(folder.decoder.blocks)
    assert cached.cache_bytes == whole.cache_bytes * (blocks - 1) // blocks
    assert cached.page_bytes == whole.page_bytes
    np.testing.assert_array_equal(
        np.sort(cached.copy_pages(handle, 0, 2), axis=1), np.sort(whole.copy_pages(handle, 0, 2), axis=1)
    )
    with pytest.raises(InvalidArgumentError, match="lie in two places"):
        cached.turn(cached.copy_pages(handle, 0, 1), 3)
    cached.close(handle)
    cached.trim()
    assert cached.cache_bytes == 0


def test_a_failure_that_is_not_caught_takes_nothing(fake, folders):
    cached = CachedDecoder(cut(folders("llama"), Split(1), falls_back=False), settings("fp16"))
    handle = cached.start()
    (first,) = cached.append([(handle, ids(20), 1)])
    fake.set(lost=3)
    with pytest.raises(DeviceLostError, match="fell off the bus"):
        cached.append([(handle, [1], 1)])
    assert cached.length(handle) == 20
    fake.set()
    other = CachedDecoder(compiled(folders("llama")), settings("fp16"))
    same = other.start()
    np.testing.assert_array_equal(other.append([(same, ids(20), 1)])[0], first)
    with pytest.raises(CacheFullError):
        cached.append([(cached.start(), ids(60), 1) for _ in range(9)])
    assert cached.free_tokens >= 512 - 32


def test_caches_that_stay_on_the_cpu_read_the_whole_model(fake, folders):
    folder = folders("llama")
    model = cut(folder, Split(1))
    cached = CachedDecoder(model, settings("fp16"), on_device=False)
    expected = talk(CachedDecoder(compiled(folder), settings("fp16")))
    assert_all_same_bits(talk(cached), expected)


@pytest.mark.parametrize("blocks", [-1, 99])
def test_a_cut_that_cannot_be(fake, folders, blocks):
    with pytest.raises(InvalidArgumentError, match=r"blocks on the device; the model has \d+: use 0 to"):
        cut(folders("llama"), Split(blocks))


def test_threads_share_a_model_that_is_cut_while_its_device_comes_and_goes(fake, folders):
    model = cut(folders("qwen3"), Split(1))
    expected = [compiled(folders("qwen3")).states([ids(12, seed)])[0] for seed in range(8)]
    wrong = []

    def ask(seed):
        for _ in range(6):
            if not np.array_equal(model.states([ids(12, seed)])[0], expected[seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for fault in ({"lost": 9}, {}, {"launch": 3}, {"allocation": 1}, {"lost": 4}, {}):
        fake.set(**fault)
        threading.Event().wait(0.02)
    for thread in threads:
        thread.join()
    assert not wrong
