"""Caches of int8, 4 and 3 bits: the same bits in any steps, near fp16, smaller, refused where far from it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.engine import decoders
from tests.kernels.rows import assert_same_bits
from tests.reference import decoder

from arrowmind import _native
from arrowmind.engine.cache_divergence import admitted_cache, cache_divergence
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.errors import CacheFullError, InvalidArgumentError
from arrowmind.observe import metrics
from arrowmind.weights import convert_model

SEED = 44
WINDOW = 160
FORMATS = ["int8", "k4v4", "k4v3"]


def settings(kind, **change):
    chosen = CacheSettings(format=kind, page_tokens=16, recent=24, max_tokens=640)
    return dataclasses.replace(chosen, **change)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of a family, compiled for a number of threads."""
    folders = {}

    def model(name, threads=2):
        if name not in folders:
            root = tmp_path_factory.mktemp(name)
            source, _, _ = decoders.write_family(root / "hf", name, SEED)
            convert_model(source, root / "model")
            folders[name] = ModelFolder(root / "model")
        folder = folders[name]
        return LanguageModel(folder.decoder, folder.weights, WINDOW, _native.ThreadPool(threads))

    return model


def ids(count, seed=0):
    return np.random.default_rng([SEED, seed]).integers(0, decoder.COMMON["vocab_size"], count).tolist()


def fed(cached, tokens, steps, handle=None):
    """Logits of tokens that come in these steps."""
    handle = cached.start() if handle is None else handle
    rows, done = [], 0
    for step in steps:
        rows += cached.append([(handle, tokens[done : done + step], step)])
        done += step
    assert done == len(tokens)
    return np.concatenate(rows)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["llama", "gemma2", "qwen3"])
def test_the_same_bits_however_tokens_come(models, name, kind):
    tokens = ids(130)
    whole = fed(CachedDecoder(models(name), settings(kind)), tokens, [130])
    assert not np.array_equal(whole, fed(CachedDecoder(models(name), settings("fp16")), tokens, [130]))
    for threads, chunk, steps in (
        (1, 512, [1] * 130),
        (3, 17, [130]),
        (2, 512, [40, 1, 1, 55, 3, 30]),
    ):
        cached = CachedDecoder(models(name, threads), settings(kind, prefill_chunk=chunk))
        assert_same_bits(fed(cached, tokens, steps), whole)


@pytest.mark.parametrize("kind", FORMATS)
def test_batches_forks_and_forgetting_leave_bits_alone(models, kind):
    model = models("qwen2")
    texts = [ids(length, length) for length in (150, 20, 77, 100)]
    alone = [fed(CachedDecoder(model, settings(kind)), text, [len(text)]) for text in texts]
    cached = CachedDecoder(model, settings(kind, max_tokens=2000, prefill_chunk=64))
    handles = [cached.start() for _ in texts]
    feeds = [(handle, text[:-5], len(text) - 5) for handle, text in zip(handles, texts, strict=True)]
    for rows, expected in zip(cached.append(feeds), alone, strict=True):
        assert_same_bits(rows, expected[:-5])
    # Fewer tokens than a page are forgotten without a trace, and a fork at the end is the sequence itself.
    for handle, text, expected in zip(handles, texts, alone, strict=True):
        branch = cached.fork(handle, len(text) - 5)
        cached.append([(branch, ids(9, 77), 0)])
        cached.forget(branch, 13)
        assert_same_bits(fed(cached, text[-9:], [9], branch), expected[-9:])
        assert_same_bits(fed(cached, text[-5:], [5], handle), expected[-5:])


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_only_small_can_be_gone_back_to(models, kind):
    """A page that is small alone is expanded; the text goes on nearly as it would."""
    tokens = ids(150)
    exact = fed(CachedDecoder(models("llama"), settings("fp16")), tokens, [150])
    cached = CachedDecoder(models("llama"), settings(kind))
    handle = cached.start()
    fed(cached, tokens, [150], handle)
    branch = cached.fork(handle, 41)
    cached.forget(handle, 99)
    for one, start in ((branch, 41), (handle, 51)):
        assert cached.length(one) == start
        rows = fed(cached, tokens[start:], [150 - start], one)
        assert np.abs(rows - exact[start:]).max() < 0.3 * np.abs(exact).max()
        cached.close(one)
    assert cached.free_tokens == 640


@pytest.mark.parametrize("kind", FORMATS)
def test_a_pool_holds_what_it_says(models, kind):
    """One sequence of as many tokens as the pool has; then it is full, and says so."""
    cached = CachedDecoder(models("llama"), settings(kind, max_tokens=WINDOW, prefill_chunk=32))
    handle = cached.start()
    assert cached.free_tokens == WINDOW
    fed(cached, ids(WINDOW), [60, 1, 99], handle)
    others = []
    with pytest.raises(CacheFullError):
        for _ in range(50):
            others.append(cached.start())
            cached.append([(others[-1], ids(20), 0)])
    assert cached.length(others[-1]) == 0
    for one in others:
        cached.close(one)
    cached.close(handle)
    assert cached.free_tokens == WINDOW


def test_sizes():
    full = _native.cached_attention_bytes("fp16", 64, 64)
    assert full == 2 * 64 * 64 * 2
    assert full / _native.cached_attention_bytes("int8", 64, 64) > 1.9
    assert full / _native.cached_attention_bytes("k4v4", 64, 64) > 3.7
    assert full / _native.cached_attention_bytes("k4v3", 64, 64) > 4.2


def test_bounds_of_the_settings():
    for change in ({"sinks": -1}, {"recent": -1}, {"recent": 1 << 40}, {"perplexity_ratio": float("nan")}):
        with pytest.raises(InvalidArgumentError, match=next(iter(change))):
            CacheSettings(**change)


@pytest.fixture(scope="module")
def stories(shared_data, tmp_path_factory):
    path = shared_data / "stories260K" / "stories260K.gguf"
    if not path.exists():
        pytest.skip(f"no {path}")
    folder = tmp_path_factory.mktemp("stories") / "model"
    convert_model(path, folder)
    opened = ModelFolder(folder)
    return LanguageModel(opened.decoder, opened.weights, 512, _native.ThreadPool(2))


@pytest.fixture(scope="module")
def story(stories):
    """A text as the model writes it."""
    cached, rng, tokens = CachedDecoder(stories, CacheSettings()), np.random.default_rng(SEED), [1]
    handle = cached.start()
    while len(tokens) < 500:
        logits = cached.append([(handle, tokens[-1:], 1)])[0][0].astype(np.float64)
        shares = np.exp(logits - logits.max())
        tokens.append(int(rng.choice(len(shares), p=shares / shares.sum())))
    return tokens


@pytest.mark.parametrize(("kind", "most"), [("int8", 1.005), ("k4v4", 1.01), ("k4v3", 1.01)])
def test_a_trained_model_loses_little(stories, story, kind, most):
    chosen = CacheSettings(format=kind, page_tokens=16, recent=32)
    found = cache_divergence(stories, story, chosen)
    assert found.tokens == 500
    assert 1 / most <= found.perplexity_ratio <= most
    assert 0 < found.divergence < 0.01
    assert admitted_cache(stories, story, chosen) is chosen


def test_a_format_that_costs_too_much_is_not_used(models):
    """Random weights foretell nothing: any ratio is chance, and the bound here is below all."""
    tokens = ids(120)
    model = models("llama")
    chosen = settings("k4v3")
    cost = cache_divergence(model, tokens, chosen).perplexity_ratio
    bound = dataclasses.replace(chosen, perplexity_ratio=1.0)
    # One of two texts costs more than nothing.
    if cost <= 1:
        tokens = next(
            text
            for text in (ids(120, seed) for seed in range(1, 50))
            if cache_divergence(model, text, chosen).perplexity_ratio > 1
        )
    before = metrics.render_metrics().count("cache format")
    assert admitted_cache(model, tokens, bound).format == "fp16"
    assert metrics.render_metrics().count("cache format") >= max(before, 1)
    exact = settings("fp16")
    assert admitted_cache(model, tokens, exact) is exact
    for wrong in ([1], ids(WINDOW + 1)):
        with pytest.raises(InvalidArgumentError, match="tokens"):
            cache_divergence(model, wrong, chosen)


def change(cached, known, rng):
    """Forks, shortens or ends some sequence."""
    handle = list(known)[rng.integers(len(known))]
    tokens = known[handle]
    cut = int(rng.integers(0, len(tokens) + 1))
    kind = rng.integers(3)
    if kind == 0:
        known[cached.fork(handle, cut)] = tokens[:cut]
    elif kind == 1:
        cached.forget(handle, len(tokens) - cut)
        known[handle] = tokens[:cut]
    else:
        cached.close(handle)
        del known[handle]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_calls_stays_near(models, kind, seed):
    """Forks, cuts of any depth and a pool that runs out, against fp16 without any of them."""
    model = models("qwen2")
    rng = np.random.default_rng([SEED, seed])
    cached = CachedDecoder(model, settings(kind, max_tokens=400, prefill_chunk=int(rng.integers(1, 60))))
    exact = CachedDecoder(model, settings("fp16"))
    room = cached.free_tokens
    known = {}
    for _ in range(40):
        if not known or rng.integers(4) == 0:
            known[cached.start()] = []
        chosen = [handle for handle in known if rng.integers(2)]
        news = {one: ids(int(rng.integers(1, 50)), int(rng.integers(1000))) for one in chosen}
        feeds = [(one, new, 1) for one, new in news.items() if len(known[one]) + len(new) <= WINDOW]
        try:
            found = cached.append(feeds)
        except CacheFullError:
            found, feeds = [], []
        for (handle, new, _), rows in zip(feeds, found, strict=True):
            known[handle] = known[handle] + new
            oracle = exact.start()
            expected = exact.append([(oracle, known[handle], 1)])[0]
            exact.close(oracle)
            assert np.abs(rows - expected).max() < 0.35 * np.abs(expected).max(), f"seed {seed}"
        if rng.integers(2):
            change(cached, known, rng)
        assert {one: cached.length(one) for one in known} == {one: len(text) for one, text in known.items()}
    for handle in known:
        cached.close(handle)
    assert cached.free_tokens == room
