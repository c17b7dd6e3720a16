"""A sequence in constant memory: the bits of plain decoding while it fits, then those it should attend to."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine import decoders
from tests.kernels.rows import assert_same_bits
from tests.reference import decoder, llama

from arrowmind import _native
from arrowmind.engine.cache_settings import CacheSettings
from arrowmind.engine.decoding import CachedDecoder
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.engine.rolling import RollingSequence, RollingShape
from arrowmind.errors import InvalidArgumentError
from arrowmind.weights import convert_model

SEED = 71
PAGE = 16
SHAPE = RollingShape(sinks=10, window=80, recalled=2, page_tokens=PAGE)
MOST = 144
ROTATIONS = ["llama", "llama-yarn", "qwen3", "gemma3", "mistral", "deepseek-v2", "deepseek-v3-halves"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of a family, its configuration and its weights."""
    made = {}

    def model(name):
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            source, config, weights = decoders.write_family(root / "hf", name, SEED)
            convert_model(source, root / "model")
            folder = ModelFolder(root / "model")
            compiled = LanguageModel(folder.decoder, folder.weights, MOST, _native.ThreadPool(2))
            made[name] = compiled, config, weights
        return made[name]

    return model


def decoder_of(model, kind="fp32", shape=SHAPE):
    return CachedDecoder(model, CacheSettings(kind, shape.pool_tokens, shape.page_tokens))


def ids(count, seed=0):
    return np.random.default_rng([SEED, seed]).integers(0, decoder.COMMON["vocab_size"], count).tolist()


@pytest.mark.parametrize("kind", ["fp32", "fp16"])
def test_a_text_that_fits_has_the_bits_of_plain_decoding(models, kind):
    model, _, _ = models("llama")
    tokens = ids(90)
    plain = decoder_of(model, kind)
    expected = plain.append([(plain.start(), tokens, 90)])[0]
    rolling = RollingSequence(decoder_of(model, kind), SHAPE)
    found = [rolling.append(tokens[:33], 33), *(rolling.append([token], 1) for token in tokens[33:])]
    assert_same_bits(np.concatenate(found), expected)
    assert not rolling.has_rolled


@pytest.mark.parametrize("name", ROTATIONS)
def test_turned_keys_are_those_of_the_other_position(models, name):
    """The same tokens at positions 0 and 23, and the pages of the first turned by 23: and back again."""
    model, _, _ = models(name)
    cached = decoder_of(model)
    tokens = ids(PAGE)
    near, far = cached.start(), cached.start(shift=23)
    cached.append([(near, tokens, 0), (far, tokens, 0)])
    (here,), (there,) = cached.copy_pages(near, 0, 1), cached.copy_pages(far, 0, 1)
    moved = cached.turn(here[np.newaxis], 23)[0].view(np.float32)
    bound = 2e-5 * np.abs(there.view(np.float32)).max()
    assert np.abs(moved - there.view(np.float32)).max() < bound
    assert np.abs(here.view(np.float32) - there.view(np.float32)).max() > 1000 * bound
    back = cached.turn(there[np.newaxis], -23)[0].view(np.float32)
    assert np.abs(back - here.view(np.float32)).max() < bound


def test_pages_turn_to_the_same_bits_on_every_instruction_set(models, monkeypatch):
    model, _, _ = models("qwen3")
    for kind in ("fp32", "fp16"):
        cached = decoder_of(model, kind)
        handle = cached.start()
        cached.append([(handle, ids(PAGE), 0)])
        page = cached.copy_pages(handle, 0, 1)
        best = cached.turn(page, -77)
        for isa in ("scalar", "avx2"):
            with monkeypatch.context() as patch:
                patch.setenv("ARROWMIND_MAX_ISA", isa)
                _native.reload_environment()
                assert np.array_equal(cached.turn(page, -77), best)
            _native.reload_environment()


@pytest.mark.parametrize("name", ROTATIONS)
def test_keys_without_their_positions_do_not_depend_on_them(models, name):
    model, _, _ = models(name)
    cached = decoder_of(model)
    near, far = cached.start(), cached.start(shift=1_000_000)
    tokens = ids(PAGE)
    cached.append([(near, tokens, 0), (far, tokens, 0)])
    for layer in range(cached.layers):
        here = cached.plain_keys(cached.copy_pages(near, 0, 1), layer, 0)
        there = cached.plain_keys(cached.copy_pages(far, 0, 1), layer, 1_000_000)
        assert here.shape == (PAGE, cached.key_columns(layer))
        assert np.abs(here - there).max() < 1e-4 * np.abs(here).max()


# Of the largest element: a step of int8 is a 127th of it, and steps of 4 and 3 bits clip the range.
ERRORS = {"fp32": 1e-6, "fp16": 1e-3, "int8": 0.02, "k4v4": 0.25, "k4v3": 0.35}


@pytest.mark.parametrize("kind", ["fp16", "fp32"])
@pytest.mark.parametrize("name", ["llama", "gemma3", "deepseek-v2"])
def test_pages_in_other_formats_and_back(models, name, kind, monkeypatch):
    model, _, _ = models(name)
    cached = decoder_of(model, kind)
    handle = cached.start()
    cached.append([(handle, ids(2 * PAGE), 0)])
    pages = cached.copy_pages(handle, 0, 2)
    floats = pages.view(np.float32 if kind == "fp32" else np.float16).astype(np.float32)
    sizes = []
    for wanted, error in ERRORS.items():
        codes = cached.encode_pages(pages, wanted)
        assert codes.shape == (2, cached.encoded_bytes(wanted))
        sizes.append(codes.shape[1])
        back = cached.decode_pages(codes, wanted)
        if wanted == kind:
            assert np.array_equal(back, pages)
        found = back.view(np.float32 if kind == "fp32" else np.float16).astype(np.float32)
        assert np.abs(found - floats).max() < error * np.abs(floats).max()
        for isa in ("scalar", "avx2"):
            with monkeypatch.context() as patch:
                patch.setenv("ARROWMIND_MAX_ISA", isa)
                _native.reload_environment()
                assert np.array_equal(cached.encode_pages(pages, wanted), codes)
                assert np.array_equal(cached.decode_pages(codes, wanted), back)
            _native.reload_environment()
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(InvalidArgumentError, match="encoded pages of"):
        cached.decode_pages(codes, "int8")
    with pytest.raises(InvalidArgumentError, match="fp8"):
        cached.encode_pages(pages, "fp8")


class Oracle(decoder._Forward):
    """Whose row i sees the tokens `seen[i]`, at the positions `places[i]`, and stands at `at[i]`."""

    def __init__(self, config, weights, seen, places, at):
        super().__init__(config, weights)
        self.seen, self.places, self.at = seen, places, at

    def attention(self, x, key, block):
        size, tokens = self.config["head_dim"], len(x)
        q, k, v = (self.linear(x, f"{key}.{part}_proj").reshape(tokens, -1, size) for part in "qkv")
        if self.kind in ("qwen3", "gemma3_text"):
            q, k = self.norm(q, f"{key}.q_norm"), self.norm(k, f"{key}.k_norm")
        table, loud = self.angles(1 + max(self.at), self.window(block))
        group = q.shape[1] // k.shape[1]
        rows = []
        for row in range(tokens):
            kept = [
                (token, place)
                for token, place in zip(self.seen[row], self.places[row], strict=True)
                if not self.window(block) or self.at[row] - place < self.window(block)
            ]
            which, where = (list(column) for column in zip(*kept, strict=True))
            query = llama.rotated(q[row][np.newaxis], table[[self.at[row]]])[0] * loud
            keys = np.repeat(llama.rotated(k[which], table[where]) * loud, group, axis=1)
            scores = np.einsum("hd,khd->hk", query, keys)
            scores *= self.config.get("query_pre_attn_scalar", size) ** -0.5
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            shares /= shares.sum(axis=-1, keepdims=True)
            rows.append(np.einsum("hk,khd->hd", shares, np.repeat(v[which], group, axis=1)).ravel())
        return self.linear(np.array(rows), f"{key}.o_proj")


def schedule(feeds, shape):
    """What each row sees, and where, by the rule in words."""
    page, sinks = shape.page_tokens, shape.sink_pages * shape.page_tokens
    seen, places, at, start, done = [], [], [], sinks, 0
    for feed in feeds:
        while done + feed - start > shape.window:
            start += page
        first = list(range(sinks))
        for row in range(done, done + feed):
            recent = list(range(start, row + 1))
            seen.append((first + recent) if start > sinks else list(range(row + 1)))
            places.append(list(range(row + 1 - len(seen[-1]), row + 1)))
            at.append(row)
        done += feed
    return seen, places, at


@pytest.mark.parametrize("sinks", [10, 0])
@pytest.mark.parametrize("name", ["llama", "llama-yarn", "qwen3", "gemma3", "mistral"])
def test_after_tokens_left_the_rest_is_attended_to_at_their_distances(models, name, sinks):
    model, config, weights = models(name)
    shape = RollingShape(sinks, 80, 2, PAGE)
    tokens, feeds = ids(230, 1), [16] * 13 + [1] * 22
    rolling = RollingSequence(decoder_of(model, shape=shape), shape)
    found, done = [], 0
    for feed in feeds:
        found.append(rolling.append(tokens[done : done + feed], feed))
        done += feed
        assert rolling.tokens <= shape.tokens
    expected = Oracle(config, weights, *schedule(feeds, shape)).logits(tokens)
    bound = 2 * decoders.logits_bound(config, expected)
    assert np.abs(np.concatenate(found) - expected).max() < bound
    plain = decoder.logits(config, weights, tokens)
    if name in ("llama", "llama-yarn", "qwen3"):
        assert np.abs(expected - plain)[150:].max() > 100 * bound  # the bound tells the two apart


def test_what_is_put_back_is_attended_to_directly_before_the_window(models):
    model, config, weights = models("llama")
    tokens, left = ids(150, 2), []
    rolling = RollingSequence(decoder_of(model), SHAPE, lambda page, ids, _: left.append((page, ids)))
    feeds = [16] * 8
    for number in range(8):
        rolling.append(tokens[number * 16 : number * 16 + 16], 0)
    assert [ids for _, ids in left] == [tokens[16:32], tokens[32:48]]
    asked = rolling.fork()
    asked.recall([left[0][0], left[1][0]])
    found = asked.append(tokens[128:144], 16)
    seen, places, at = schedule([*feeds, 16], SHAPE)
    start = 48 + 16  # the window of the last feed
    for row in range(128, 144):
        first = [*range(16), *range(16, 48)]
        seen[row] = first + list(range(start, row + 1))
        places[row] = list(range(start - 48, row + 1))
    expected = Oracle(config, weights, seen, places, at).logits(tokens[:144])[128:]
    assert np.abs(found - expected).max() < 2 * decoders.logits_bound(config, expected)
    # The sequence itself goes on as if nothing was asked.
    beside = rolling.append(tokens[128:144], 16)
    alone = RollingSequence(decoder_of(model), SHAPE)
    for number in range(8):
        alone.append(tokens[number * 16 : number * 16 + 16], 0)
    assert_same_bits(beside, alone.append(tokens[128:144], 16))
    asked.close()
    with pytest.raises(InvalidArgumentError, match="room for 2"):
        rolling.recall([left[0][0]] * 3)


def test_a_million_tokens_on_distances_are_what_they_were(models):
    """The same text far out and near: a float32 angle would be off by 0.06 there."""
    model, config, _ = models("llama")
    tokens = ids(60, 3)
    cached = decoder_of(model)
    near, far = cached.start(), cached.start(shift=1_000_003)
    one, other = cached.append([(near, tokens, 60), (far, tokens, 60)])
    assert np.abs(one - other).max() < 2 * decoders.logits_bound(config, one)


def test_a_page_that_cannot_be_stored_stays(models):
    model, _, _ = models("llama")
    refuse = [True]

    def leaves(page, ids, after):
        if refuse[0]:
            raise OSError("no room")

    rolling = RollingSequence(decoder_of(model), SHAPE, leaves)
    tokens = ids(120, 4)
    rolling.append(tokens[:96], 0)
    with pytest.raises(OSError, match="no room"):
        rolling.append(tokens[96:112], 0)
    assert rolling.tokens == 96
    refuse[0] = False
    whole = RollingSequence(decoder_of(model), SHAPE)
    whole.append(tokens[:96], 0)
    assert_same_bits(rolling.append(tokens[96:112], 16), whole.append(tokens[96:112], 16))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"sinks": -1}, "sinks is -1"),
        ({"recalled": -2}, "recalled is -2"),
        ({"window": 63}, "at least 64"),
        ({"window": 0}, "at least 64"),
        ({"window": 97}, "the model reads 144"),
        ({"sinks": 1 << 40}, "the model reads 144"),
        ({"page_tokens": 20}, "multiple of 16"),
        ({"page_tokens": 0}, "multiple of 16"),
    ],
)
def test_shapes_out_of_range(change, what):
    shape = {"sinks": 10, "window": 80, "recalled": 2, "page_tokens": PAGE} | change
    with pytest.raises(InvalidArgumentError, match=what):
        RollingShape(**shape).check(MOST)
    SHAPE.check(MOST)


def test_pages_that_cannot_be_moved(models):
    model, _, _ = models("llama")
    codes = CachedDecoder(model, CacheSettings("int8", 64, PAGE))
    handle = codes.start()
    codes.append([(handle, ids(20), 0)])
    with pytest.raises(InvalidArgumentError, match="fp16 or fp32"):
        codes.copy_pages(handle, 0, 1)
    cached = decoder_of(model)
    handle = cached.start()
    cached.append([(handle, ids(20), 0)])
    page = cached.copy_pages(handle, 0, 1)
    with pytest.raises(InvalidArgumentError, match="sequence of 2"):
        cached.copy_pages(handle, 0, 3)
    with pytest.raises(InvalidArgumentError, match="whole pages"):
        cached.splice(handle, 1, 1, page)
    with pytest.raises(InvalidArgumentError, match="0 positions only"):
        cached.splice(handle, 0, 0, page)
    with pytest.raises(InvalidArgumentError, match="bytes"):
        cached.splice(handle, 0, 1, page[:, :-64].copy())
    with pytest.raises(InvalidArgumentError, match="stands at -1"):
        cached.start(-1)
    assert cached.length(handle) == 20
