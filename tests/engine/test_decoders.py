"""Language models in the engine: logits of every family against float64, and the same bits for any batch."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine import decoders
from tests.kernels.rows import assert_same_bits
from tests.reference import decoder, llama

from arrowmind import ArrowEngine, _native
from arrowmind.engine.decoder_compiler import compile_body
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.weights import convert_model

SEED = 41
TOKENS = [3, 66, 0, 17, 17, 5, 31, 2, 60, 44, 8, 9, 1, 50, 23, 23, 23, 7, 12]
FAMILIES = list(decoder.CONFIGS)


@pytest.fixture
def opened(tmp_path):
    """An engine over a model of a family, converted; and what the reference makes of its logits."""

    def open_family(name, **options):
        source, config, weights = decoders.write_family(tmp_path / "hf", name, SEED)
        convert_model(source, tmp_path / "model")
        return ArrowEngine(tmp_path / "model", **options), config, weights

    return open_family


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_of_every_family(opened, name):
    engine, config, weights = opened(name)
    expected = decoder.logits(config, weights, TOKENS)
    found = engine.logits(TOKENS)
    assert found.shape == expected.shape == (len(TOKENS), config["vocab_size"])
    assert np.abs(found - expected).max() <= decoders.logits_bound(config, expected)
    assert engine.is_decoder
    assert engine.info()["vocabulary"] == config["vocab_size"]


@pytest.mark.parametrize("name", ["qwen2", "gemma3", "mistral", "qwen2-moe", "deepseek-v3"])
def test_the_same_bits_for_any_batch_prefix_and_threads(opened, tmp_path, name):
    engine, config, _ = opened(name)
    whole = engine.logits(TOKENS)
    for length in (1, 7, 18):
        assert_same_bits(engine.logits(TOKENS[:length]), whole[:length])
    folder = ModelFolder(tmp_path / "model")
    rng = np.random.default_rng(SEED)
    others = [rng.integers(0, config["vocab_size"], n).tolist() for n in (1, 30, 9, 64, 2, 17)]
    for threads in (1, 3):
        model = LanguageModel(folder.decoder, folder.weights, 64, _native.ThreadPool(threads))
        states = model.states([*others, TOKENS, *others])[len(others)]
        assert_same_bits(model.logits(states), whole)
        parts = [logits for _, logits in model.logits_in_parts(states)]
        assert_same_bits(np.concatenate(parts), whole)


def test_the_last_rows_alone(opened, tmp_path):
    engine, _, _ = opened("qwen3")
    folder = ModelFolder(tmp_path / "model")
    threads = _native.ThreadPool(1)
    plan = compile_body(folder.decoder, folder.weights, 64, rows="last")
    ids = np.array([*TOKENS, *TOKENS[:5]], np.int32)
    last = plan.run(ids, np.array([0, len(TOKENS), len(ids)], np.int32), threads, normalise=False)
    model = LanguageModel(folder.decoder, folder.weights, 64, threads)
    assert_same_bits(model.logits(last)[0], engine.logits(TOKENS)[-1])
    assert_same_bits(model.logits(last)[1], engine.logits(TOKENS[:5])[-1])


def test_text_becomes_tokens(opened):
    engine, _, _ = opened("llama")
    ids = engine.tokenise("the cat sat")
    assert_same_bits(engine.logits("the cat sat"), engine.logits(ids))
    assert engine.detokenise(ids[1:-1]) == "the cat sat"
    assert len(engine.tokenise("cat " * 500)) == 500 + 2


@pytest.mark.parametrize(
    ("ids", "what"),
    [
        ([], "0 tokens"),
        ([1] * 65, "65 tokens; the model reads 1 to 64"),
        ([1, 67], "token id 67 at place 1"),
        ([-1], "token id -1"),
        ([1.5], "not a whole number"),
        (7, "text or token ids"),
        (b"the", "text or token ids"),
    ],
)
def test_prompts_that_cannot_be(opened, ids, what):
    engine, _, _ = opened("llama")
    with pytest.raises(InvalidArgumentError, match=what):
        engine.logits(ids)
    assert engine.logits([1]).shape == (1, 67)


def test_each_model_says_what_it_is_for(opened):
    engine, _, _ = opened("llama")
    with pytest.raises(InvalidArgumentError, match="is a language model"):
        engine.encode("the cat")


def test_weights_that_do_not_fit(tmp_path):
    config = decoder.CONFIGS["llama"]
    weights = decoder.random_weights(config, SEED)
    wrong = {
        "a head": {"lm_head.weight": np.zeros((66, 48), np.float32)},
        "a norm": {"model.layers.1.input_layernorm.weight": np.zeros(47, np.float32)},
        "a projection of another size": {
            "model.layers.0.self_attn.k_proj.weight": np.zeros((12, 48), np.float32)
        },
        "a gate of another size": {"model.layers.2.mlp.gate_proj.weight": np.zeros((71, 48), np.float32)},
    }
    for index, change in enumerate(wrong.values()):
        source = decoders.write(tmp_path / f"hf{index}", config, weights | change)
        convert_model(source, tmp_path / f"out{index}")
        with pytest.raises((WeightError, InvalidArgumentError), match=r"shape|columns"):
            ArrowEngine(tmp_path / f"out{index}")
    missing = {name: value for name, value in weights.items() if "up_proj" not in name}
    convert_model(decoders.write(tmp_path / "hf", config, missing), tmp_path / "out")
    with pytest.raises(WeightError, match="has no tensor"):
        ArrowEngine(tmp_path / "out")


@pytest.fixture(scope="module")
def stories(shared_data, tmp_path_factory):
    path = shared_data / "stories260K" / "stories260K.gguf"
    if not path.exists():
        pytest.skip(f"no {path}")
    folder = tmp_path_factory.mktemp("stories") / "model"
    convert_model(path, folder)
    return folder


def test_a_real_model_continues_as_the_reference_does(stories):
    """Greedy, token for token, by repeated prefill; and its logits on the way."""
    engine = ArrowEngine(stories)
    weights = engine._folder.weights
    known = {name: weights.tensor(name).to_float32() for name in weights.names()}
    config = engine._folder.config
    ours = theirs = engine.tokenise("Once upon a time, there was a little girl named Lily.")
    for _ in range(40):
        ours = [*ours, int(engine.logits(ours)[-1].argmax())]
        expected = llama.logits(config, known.__getitem__, theirs)
        theirs = [*theirs, int(expected[-1].argmax())]
    assert ours == theirs
    assert np.abs(engine.logits(ours[:-1]) - expected).max() <= decoders.logits_bound(config, expected)
    assert "She loved to play outside" in engine.detokenise(ours)
