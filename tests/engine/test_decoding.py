"""Decoding with a cache: the bits of a forward without one, however sequences grow."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine import decoders
from tests.kernels.rows import assert_same_bits
from tests.reference import decoder

from arrowmind import _native
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.errors import CacheFullError, InvalidArgumentError
from arrowmind.weights import convert_model

SEED = 43
WINDOW = 64
FAMILIES = ["llama", "mistral", "qwen2", "qwen2-window", "qwen3", "gemma2", "gemma3", "deepseek-v3"]
EXACT = CacheSettings(format="fp32", page_tokens=16, max_tokens=512)
HALF = CacheSettings(page_tokens=16, max_tokens=512)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of a family, compiled for a number of threads."""
    folders, made = {}, {}

    def model(name, threads=2, window=WINDOW):
        if name not in folders:
            root = tmp_path_factory.mktemp(name)
            source, _, _ = decoders.write_family(root / "hf", name, SEED)
            convert_model(source, root / "model")
            folders[name] = root / "model"
        key = name, threads, window
        if key not in made:
            folder = ModelFolder(folders[name])
            pool = _native.ThreadPool(threads)
            made[key] = LanguageModel(folder.decoder, folder.weights, window, pool)
        return made[key]

    return model


def ids(count, seed=0):
    return np.random.default_rng([SEED, seed]).integers(0, decoder.COMMON["vocab_size"], count).tolist()


def recomputed(model, tokens):
    return model.logits(model.states([tokens])[0])


def stepwise(cached, tokens, handle=None):
    """Logits of tokens that come one by one."""
    handle = cached.start() if handle is None else handle
    return np.concatenate([cached.append([(handle, [token], 1)])[0] for token in tokens])


@pytest.mark.parametrize("name", FAMILIES)
def test_one_by_one_in_parts_and_at_once_are_the_forward_without_a_cache(models, name):
    model = models(name)
    tokens = ids(50)
    expected = recomputed(model, tokens)
    cached = CachedDecoder(model, EXACT)
    assert_same_bits(cached.append([(cached.start(), tokens, 50)])[0], expected)
    assert_same_bits(stepwise(cached, tokens), expected)
    chunked = CachedDecoder(model, dataclasses.replace(EXACT, prefill_chunk=7))
    assert_same_bits(chunked.append([(chunked.start(), tokens, 50)])[0], expected)
    handle = cached.start()
    for begin, end in ((0, 16), (16, 33), (33, 34), (34, 50)):
        (rows,) = cached.append([(handle, tokens[begin:end], 2 if end - begin > 1 else 1)])
        assert_same_bits(rows, expected[end - len(rows) : end])


@pytest.mark.parametrize("name", ["qwen2", "deepseek-v3"])
def test_a_step_in_one_call_is_layers_and_head_one_after_the_other(models, name, monkeypatch):
    """Of any number of last rows, also where the head is still being made."""
    model, texts = models(name), [ids(count, count) for count in (1, 5, 3, 4)]
    counts = [1, 2, 0, 4]

    def appended():
        cached = CachedDecoder(model, HALF)
        feeds = [(cached.start(), text, count) for text, count in zip(texts, counts, strict=True)]
        return cached.append(feeds), cached

    assert model.can_step
    steps, _ = appended()
    monkeypatch.setattr(type(model._later_head), "is_made", False)
    assert not model.can_step
    apart, cached = appended()
    assert [len(rows) for rows in steps] == counts
    for one, other in zip(steps, apart, strict=True):
        assert_same_bits(one, other)
    assert cached.append([]) == []


def test_a_step_whose_head_fails_appends_nothing(models, monkeypatch):
    model = models("llama")
    cached = CachedDecoder(model, EXACT)
    handle = cached.start()
    (expected,) = cached.append([(cached.start(), ids(6), 1)])
    cached.append([(handle, ids(5), 0)])

    def step(*_given):
        model.run_cached(cached._cache, [handle], [np.array([ids(6)[5]], np.int32)])
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(model, "step", step)
        with pytest.raises(MemoryError):
            cached.append([(handle, [ids(6)[5]], 1)])
    assert cached.length(handle) == 5
    (again,) = cached.append([(handle, [ids(6)[5]], 1)])
    assert_same_bits(again, expected)


def test_steps_that_make_no_sense_are_refused(models):
    model = models("llama")
    cached = CachedDecoder(model, EXACT)
    handle, tokens, threads = cached.start(), np.array(ids(3), np.int32), _native.ThreadPool(1)
    body, head = model._body.on_host, model._head

    def step(counts, head):
        return body.run_step(
            cached._cache, [handle], tokens, np.array([0, 3], np.int32), counts, head, threads
        )

    cached._cache.reserve([(handle, 3)])
    for counts, plan, said in (
        ([4], head, "the last 4 rows of 3"),
        ([-1], head, "use 0 to 3"),
        ([1, 1], head, "give one each"),
        ([1], body, "a head that reads"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            step(counts, plan)
    assert cached.length(handle) == 0
    assert step([0], head).shape == (0, model.model.vocabulary)


@pytest.mark.parametrize("name", FAMILIES)
def test_half_precision_is_near_and_has_the_same_bits_in_any_steps(models, name):
    model = models(name)
    tokens = ids(50)
    cached = CachedDecoder(model, HALF)
    whole = cached.append([(cached.start(), tokens, 50)])[0]
    assert_same_bits(stepwise(cached, tokens), whole)
    expected = recomputed(model, tokens)
    assert 0 < np.abs(whole - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("cache", [EXACT, HALF], ids=["fp32", "fp16"])
@pytest.mark.parametrize("name", ["mistral", "gemma2"])
def test_the_same_bits_for_any_batch_and_threads(models, name, cache):
    lengths = [1, 40, 7, 23, 12, 2, 31, 16]
    texts = [ids(length + 6, seed) for seed, length in enumerate(lengths)]
    alone = []
    one = CachedDecoder(models(name, 1), cache)
    for text, length in zip(texts, lengths, strict=True):
        handle = one.start()
        prompt = one.append([(handle, text[:length], length)])[0]
        alone.append(np.concatenate([prompt, stepwise(one, text[length:], handle)]))
        one.close(handle)
    for threads, chunk in ((1, 512), (2, 9), (3, 512), (5, 40)):
        together = dataclasses.replace(cache, max_tokens=800, prefill_chunk=chunk)
        many = CachedDecoder(models(name, threads), together)
        handles = [many.start() for _ in texts]
        prompts = many.append([(h, text[:n], n) for h, text, n in zip(handles, texts, lengths, strict=True)])
        found = [[prompt] for prompt in prompts]
        for step in range(6):
            feeds = [(h, [text[n + step]], 1) for h, text, n in zip(handles, texts, lengths, strict=True)]
            for rows, more in zip(found, many.append(feeds), strict=True):
                rows.append(more)
        for rows, expected in zip(found, alone, strict=True):
            assert_same_bits(np.concatenate(rows), expected)


def test_reading_and_writing_in_one_forward(models):
    """A prompt joins while others decode, and leaves their bits as they are."""
    model = models("qwen3")
    cached = CachedDecoder(model, dataclasses.replace(EXACT, max_tokens=200, prefill_chunk=16))
    first, second = ids(30, 1), ids(40, 2)
    one = cached.start()
    cached.append([(one, first[:-1], 1)])
    two = cached.start()
    rows = cached.append([(two, second, 3), (one, first[-1:], 1)])
    assert_same_bits(rows[0], recomputed(model, second)[-3:])
    assert_same_bits(rows[1], recomputed(model, first)[-1:])
    assert cached.length(one) == 30
    assert cached.length(two) == 40


def test_tokens_whose_logits_nobody_wants(models):
    model = models("llama")
    cached = CachedDecoder(model, EXACT)
    handle = cached.start()
    tokens = ids(20)
    assert cached.append([(handle, tokens[:12], 0)])[0].shape == (0, cached.vocabulary)
    assert cached.append([]) == []
    assert_same_bits(cached.append([(handle, tokens[12:], 8)])[0], recomputed(model, tokens)[12:])


@pytest.mark.parametrize("cache", [EXACT, HALF], ids=["fp32", "fp16"])
def test_forgetting_leaves_no_trace(models, cache):
    cached = CachedDecoder(models("gemma3"), cache)
    tokens = ids(40)
    expected = cached.append([(cached.start(), tokens, 40)])[0]
    handle = cached.start()
    cached.append([(handle, tokens[:33] + ids(15, 9), 1)])
    cached.forget(handle, 15)
    assert cached.length(handle) == 33
    assert_same_bits(cached.append([(handle, tokens[33:], 7)])[0], expected[33:])
    cached.forget(handle, 40)
    assert_same_bits(cached.append([(handle, tokens, 40)])[0], expected)


def test_forks_share_pages_and_nothing_else(models):
    model = models("qwen2")
    cached = CachedDecoder(model, dataclasses.replace(EXACT, max_tokens=512))
    prompt = ids(37)
    source = cached.start()
    cached.append([(source, prompt, 0)])
    room = cached.free_tokens
    forks = [cached.fork(source, tokens) for tokens in (37, 32, 20, 0)]
    assert cached.free_tokens == room
    starts = [prompt, prompt[:32], prompt[:20], []]
    for seed, (handle, start) in enumerate(zip(forks, starts, strict=True)):
        new = ids(9, 20 + seed)
        rows = cached.append([(handle, new, 9)])[0]
        assert_same_bits(rows, recomputed(model, start + new)[-9:])
    # The source still has its page, though forks have written behind their ends of it.
    rows = cached.append([(source, ids(9, 50), 9)])[0]
    assert_same_bits(rows, recomputed(model, prompt + ids(9, 50))[-9:])
    cached.close(source)
    rows = cached.append([(forks[0], [5], 1)])[0]
    assert_same_bits(rows, recomputed(model, prompt + ids(9, 20) + [5])[-1:])
    for handle in forks:
        cached.close(handle)
    assert cached.free_tokens == 512


def test_a_full_pool_says_so_and_stays_usable(models):
    model = models("llama")
    cached = CachedDecoder(model, dataclasses.replace(EXACT, max_tokens=64))
    assert cached.free_tokens == 64
    assert cached.cache_bytes == 0
    one, two = cached.start(), cached.start()
    tokens = ids(40)
    cached.append([(one, tokens[:33], 0)])
    assert cached.free_tokens == 16
    with pytest.raises(CacheFullError, match="max_tokens"):
        cached.append([(two, tokens[:17], 1)])
    # All or nothing: the first of these would fit.
    with pytest.raises(CacheFullError):
        cached.append([(one, tokens[33:], 1), (two, tokens[:17], 1)])
    assert (cached.length(one), cached.length(two), cached.free_tokens) == (33, 0, 16)
    rows = cached.append([(one, tokens[33:], 1), (two, tokens[:16], 1)])
    assert_same_bits(rows[0], recomputed(model, tokens)[-1:])
    assert_same_bits(rows[1], recomputed(model, tokens[:16])[-1:])
    assert cached.free_tokens == 0
    held = cached.cache_bytes
    cached.close(one)
    assert cached.free_tokens == 48
    cached.append([(two, tokens[16:], 1)])
    assert cached.cache_bytes == held
    cached.close(two)
    cached.trim()
    assert cached.cache_bytes == 0


def test_a_shared_page_that_cannot_be_copied(models):
    model = models("llama")
    cached = CachedDecoder(model, dataclasses.replace(EXACT, max_tokens=16))
    tokens = ids(10)
    one = cached.start()
    cached.append([(one, tokens[:9], 0)])
    two = cached.fork(one, 9)
    for handle in (one, two):
        with pytest.raises(CacheFullError):
            cached.append([(handle, tokens[9:], 1)])
    cached.close(one)
    assert_same_bits(cached.append([(two, tokens[9:], 1)])[0], recomputed(model, tokens)[-1:])


def test_calls_that_cannot_be(models):
    cached = CachedDecoder(models("llama"), dataclasses.replace(EXACT, max_tokens=1000))
    handle = cached.start()
    cached.append([(handle, [1, 2, 3], 0)])
    closed = cached.start()
    cached.close(closed)
    for feeds, what in [
        ([(handle, [], 0)], "0 tokens"),
        ([(handle, [67], 1)], "token id 67"),
        ([(handle, [1], 2)], "logits after 2 of 1"),
        ([(handle, [1], -1)], "logits after -1"),
        ([(handle, [1] * 62, 1)], "exceed the window of 64"),
        ([(closed, [1], 1)], "is not open"),
        ([(99, [1], 1)], "is not open"),
        ([(handle, [1], 1), (handle, [2], 1)], "twice"),
        ([(handle, [1], 1), (closed, [2], 1)], "is not open"),
    ]:
        with pytest.raises(InvalidArgumentError, match=what):
            cached.append(feeds)
        assert cached.length(handle) == 3
    for call in (
        lambda: cached.forget(handle, 4),
        lambda: cached.forget(handle, -1),
        lambda: cached.fork(handle, 4),
        lambda: cached.fork(handle, -1),
        lambda: cached.fork(closed, 0),
        lambda: cached.close(closed),
        lambda: cached.length(closed),
    ):
        with pytest.raises(InvalidArgumentError):
            call()
    assert cached.append([(handle, [1] * 61, 1)])[0].shape == (1, 67)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format": "fp8"}, "fp8"),
        ({"page_tokens": 0}, "page_tokens"),
        ({"page_tokens": 40}, "page_tokens"),
        ({"page_tokens": 1 << 20}, "page_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1 << 62}, "larger than any memory"),
        ({"prefill_chunk": 0}, "prefill_chunk"),
    ],
)
def test_settings_that_cannot_be(models, change, what):
    with pytest.raises(InvalidArgumentError, match=what):
        CachedDecoder(models("llama"), CacheSettings(**change))


# A step: what is done, to which sequence, how much of it, and a seed.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "append", "append", "append", "batch", "forget", "fork", "close"]),
        st.integers(0, 9),
        st.integers(0, 30),
        st.integers(0, 999),
    ),
    max_size=25,
)


class Oracle:
    """The same sequences as lists of tokens, every logit recomputed."""

    def __init__(self, model, tokens):
        self.model = model
        self.cached = CachedDecoder(model, dataclasses.replace(EXACT, max_tokens=tokens, prefill_chunk=11))
        self.known = {}

    def play(self, step):
        kind, which, amount, seed = step
        handles = list(self.known)
        if kind == "start" or not handles:
            handle = self.cached.start()
            assert handle not in self.known
            self.known[handle] = []
        elif kind == "append":
            self.append([handles[which % len(handles)]], amount, seed)
        elif kind == "batch":
            self.append(handles[: 1 + which], amount, seed)
        else:
            self.change(kind, handles[which % len(handles)], amount)
        for handle, tokens in self.known.items():
            assert self.cached.length(handle) == len(tokens)

    def append(self, handles, amount, seed):
        news = [ids(1 + (amount + 7 * place) % 31, seed) for place in range(len(handles))]
        handles_news = [
            (h, new) for h, new in zip(handles, news, strict=True) if len(self.known[h]) + len(new) <= WINDOW
        ]
        try:
            found = self.cached.append([(h, new, len(new)) for h, new in handles_news])
        except CacheFullError:
            return
        for (handle, new), rows in zip(handles_news, found, strict=True):
            self.known[handle] = self.known[handle] + new
            assert_same_bits(rows, recomputed(self.model, self.known[handle])[-len(new) :])

    def change(self, kind, handle, amount):
        count = min(amount, len(self.known[handle]))
        if kind == "forget":
            self.cached.forget(handle, count)
            self.known[handle] = self.known[handle][: len(self.known[handle]) - count]
        elif kind == "fork":
            self.known[self.cached.fork(handle, count)] = self.known[handle][:count]
        else:
            self.cached.close(handle)
            del self.known[handle]


@pytest.mark.parametrize("name", ["mistral", "qwen2"])
def test_any_order_of_calls(models, name):
    model = models(name)

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(STEPS, st.sampled_from([48, 160, 600]))
    def play(steps, tokens):
        oracle = Oracle(model, tokens)
        for step in steps:
            oracle.play(step)
        for handle in list(oracle.known):
            oracle.cached.close(handle)
        assert oracle.cached.free_tokens == -(-tokens // 16) * 16

    play()


@pytest.fixture(scope="module")
def stories(shared_data, tmp_path_factory):
    path = shared_data / "stories260K" / "stories260K.gguf"
    if not path.exists():
        pytest.skip(f"no {path}")
    folder = tmp_path_factory.mktemp("stories") / "model"
    convert_model(path, folder)
    return ModelFolder(folder)


@pytest.mark.parametrize("kind", ["fp32", "fp16"])
def test_a_real_model_goes_on_as_it_does_without_a_cache(stories, kind):
    model = LanguageModel(stories.decoder, stories.weights, 512, _native.ThreadPool(2))
    cached = CachedDecoder(model, CacheSettings(format=kind))
    handle = cached.start()
    ours = [1, 403, 407, 261, 378]
    new = list(ours)
    for _ in range(60):
        (rows,) = cached.append([(handle, new, 1)])
        expected = recomputed(model, ours)[-1]
        new = [int(rows[0].argmax())]
        assert new[0] == int(expected.argmax())
        if kind == "fp32":
            assert_same_bits(rows[0], expected)
        ours += new


def test_latent_attention_keeps_one_short_row_of_a_token(models):
    """Not the keys and values of every head, which are several times as many."""
    model = models("deepseek-v2")
    attentions = [block.attention for block in model.model.blocks]
    padded = sum(2 * -(-(one.rank + one.turned_dim) // 16) * 16 for one in attentions)
    unfolded = sum(2 * one.heads * (one.plain_dim + one.turned_dim) for one in attentions)
    cached = CachedDecoder(model, HALF)
    assert cached.page_bytes == 2 * 16 * padded
    assert padded < unfolded
