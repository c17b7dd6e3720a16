"""Perplexity: every token is foretold once, from what its window holds, as the reference foretells it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine import decoders
from tests.reference import decoder

from arrowmind import ArrowEngine
from arrowmind.engine.perplexity import log_likelihoods, measure, windows_of
from arrowmind.errors import InvalidArgumentError
from arrowmind.weights import convert_model

SEED = 47


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("perplexity")
    source, config, weights = decoders.write_family(folder / "hf", "qwen2", SEED)
    convert_model(source, folder / "model")
    return ArrowEngine(folder / "model"), config, weights


def expected_loss(config, weights, ids, window, stride):
    """By windows written out one by one."""
    total, done = 0.0, 1
    while done < len(ids):
        end = min(len(ids), window if done == 1 else done + stride)
        begin = max(0, end - window)
        logits = decoder.logits(config, weights, ids[begin:end])
        found = log_likelihoods(logits[done - 1 - begin : -1], np.array(ids[done:end]))
        total -= found.sum()
        done = end
    return total / (len(ids) - 1)


@pytest.mark.parametrize(("window", "stride"), [(64, 32), (16, 8), (10, 1), (64, 63), (2, 1)])
def test_matches_the_reference(model, window, stride):
    engine, config, weights = model
    ids = np.random.default_rng(SEED).integers(0, config["vocab_size"], 150).tolist()
    found = engine.perplexity(ids, window, stride)
    assert found.loss == pytest.approx(expected_loss(config, weights, ids, window, stride), abs=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert (found.tokens, found.window, found.stride) == (149, window, stride)


def test_what_is_not_given(model, tmp_path):
    engine, _, _ = model
    text = "the cat sat on the mat " * 20
    (tmp_path / "text").write_text(text)
    found = engine.perplexity(text)
    assert (found.window, found.stride) == (64, 32)
    assert found == engine.perplexity(tmp_path / "text") == engine.perplexity(engine.tokenise(text))


@given(st.integers(2, 300), st.integers(2, 40), st.integers(1, 39))
def test_windows_foretell_every_token_once(tokens, window, stride):
    stride = min(stride, window - 1)
    seen = []
    for one in windows_of(tokens, window, stride):
        assert 0 <= one.begin < one.scored <= one.end <= tokens
        assert one.end - one.begin <= window
        # What is foretold has at least this much before it, or all there is.
        assert one.scored - one.begin >= min(one.scored, window - stride)
        seen += range(one.scored, one.end)
    assert seen == list(range(1, tokens))


def test_log_likelihoods_are_those_of_softmax():
    rng = np.random.default_rng(SEED)
    logits = rng.normal(0, 200, (40, 17)).astype(np.float32)
    targets = rng.integers(0, 17, 40)
    wide = logits.astype(np.longdouble)
    expected = (
        wide[np.arange(40), targets] - np.log(np.exp(wide - wide.max(1, keepdims=True)).sum(1)) - wide.max(1)
    )
    assert np.allclose(log_likelihoods(logits, targets), expected.astype(float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("ids", "window", "stride", "what"),
    [
        ([1], None, None, "1 tokens foretells nothing"),
        ([1, 2, 3], 65, None, "window=65; use 2 to 64"),
        ([1, 2, 3], 1, None, "window=1"),
        ([1, 2, 3], 4, 4, "stride=4; use 1 to 3"),
        ([1, 2, 3], 4, 0, "stride=0"),
        ([1, 2, 999], None, None, "token id 999"),
    ],
)
def test_what_cannot_be_measured(model, ids, window, stride, what):
    engine, _, _ = model
    with pytest.raises(InvalidArgumentError, match=what):
        engine.perplexity(ids, window, stride)


def test_files_that_cannot_be_read(model, tmp_path):
    engine, _, _ = model
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        engine.perplexity(tmp_path / "none")


def test_progress_ends_where_the_text_ends(model):

    engine, _, _ = model
    steps = []

    def note(done, total, what):
        steps.append((done, total, what))

    measure(engine._decoder, [1] * 100, window=16, stride=8, progress=note)
    assert steps[-1] == (100, 100, "perplexity")
    assert [step[0] for step in steps] == sorted(step[0] for step in steps)
