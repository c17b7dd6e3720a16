"""What tests of models on devices have in common: how they are run, and what is asked of them."""

from __future__ import annotations

import threading

import numpy as np
from tests.reference import decoder

from arrowmind import ArrowEngine, _native
from arrowmind.config import Config, DeviceSettings, load_config
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.language import LanguageModel
from arrowmind.engine.on_device import DeviceHost
from arrowmind.observe import metrics

SEED = 47
WINDOW = 64
FAMILIES = list(decoder.CONFIGS)
ROUTED = ["mixtral", "qwen2-moe", "qwen3-moe", "deepseek-v2", "deepseek-v3"]
STRICT = Config(device=DeviceSettings(fallback="error"))
SMALL = {"generation.cache_tokens": 512, "generation.prefill_chunk": 64, "generation.max_streams": 4}
TEXTS = ["the cat sat on the mat.", "", "a dog", "the dog ran far away, and back!", "cat " * 60]
PROMPTS = ["the cat sat on the mat", "a dog", "x", "the dog ran far away, and back!"]
FAULTS = ({"lost": 40}, {}, {"launch": 9}, {"allocation": 1}, {}, {"at": 30, "status": 5}, {"lost": 7})


def compiled(folder, host=None, split=None, residence=None, threads=2):
    """The decoder of a folder, or what comes and goes of it; on the CPU without a host of a device."""
    weights = folder.weights if residence is None else residence.weights
    pool = _native.ThreadPool(threads)
    return LanguageModel(folder.decoder, weights, WINDOW, pool, residence=residence, host=host, split=split)


def cut(folder, split, *, falls_back=True, graphs="auto"):
    """A part of it on the device in place of cuda."""
    return compiled(folder, DeviceHost("cuda:0", falls_back=falls_back, graphs=graphs), split)


def opened(path, vram=None, **keys):
    """An engine on the device in place of cuda; settings with two underscores for the point."""
    overrides = {**SMALL, **{key.replace("__", "."): value for key, value in keys.items()}}
    config = load_config(env={}, overrides=overrides)
    return ArrowEngine(path, device="cuda", threads=2, config=config, vram=vram)


def ids(count, seed=0):
    return np.random.default_rng([SEED, seed]).integers(0, decoder.COMMON["vocab_size"], count).tolist()


def settings(form, chunk=9):
    return CacheSettings(format=form, page_tokens=16, max_tokens=512, prefill_chunk=chunk)


def talk(cached, begin=lambda step: None):
    """Logits of prompts of different lengths, forks in the middle of a page, and what goes on from them."""
    first, second = cached.start(), cached.start()
    found = []

    def step(*feeds):
        begin(len(found))
        found.append(np.concatenate(cached.append(list(feeds))))

    step((first, ids(25), 25), (second, ids(3, 1), 1))
    step((second, [5], 1), (first, [6], 1))
    third = cached.fork(first, 21)
    step((third, ids(4, 2), 4), (first, [7], 1))
    cached.forget(first, 9)
    fourth = cached.fork(third, 16)
    step((first, ids(12, 3), 2), (second, [9], 1), (fourth, [1, 2], 2))
    cached.close(third)
    step((fourth, [3], 1), (first, [4], 1), (second, ids(20, 4), 20))
    for handle in (first, second, fourth):
        cached.close(handle)
    return found


def forwards(where):
    return sum(count for labels, count in metrics.device_forwards.values().items() if labels[1] == where)


def texts(engine, count=4, **options):
    """Tokens that follow some prompts."""
    prompts = [PROMPTS[i % len(PROMPTS)] + " " * (i // len(PROMPTS)) for i in range(count)]
    return [one.token_ids for one in engine.generate(prompts, max_tokens=24, ignore_eos=True, **options)]


def listened(fake, engine, prompts, **options):
    """What streams of all prompts at once give while the device comes and goes."""
    found = [""] * len(prompts)

    def listen(place):
        found[place] = "".join(token.text for token in engine.stream(prompts[place], **options))

    threads = [threading.Thread(target=listen, args=(place,)) for place in range(len(prompts))]
    for thread in threads:
        thread.start()
    for step in range(200):
        fake.set(**FAULTS[step % len(FAULTS)])
        threading.Event().wait(0.01)
        if not any(thread.is_alive() for thread in threads):
            break
    fake.set()
    for thread in threads:
        thread.join()
    return found
