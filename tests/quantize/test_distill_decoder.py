"""Training a decoder through the quantiser: the torch forward, windows, texts it writes itself, resuming."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tests.engine import decoders
from tests.reference import decoder

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.errors import QuantizationError
from arrowmind.observe import no_progress
from arrowmind.quantize.distill.windows import Windows
from arrowmind.quantize.methods import distill
from arrowmind.weights import convert_model, open_weights

OTHERS = ["mixtral", "qwen2-moe", "qwen3-moe", "deepseek-lite", "deepseek-v2", "deepseek-v3"]
FAMILIES = sorted(name for name in decoder.CONFIGS if not name.startswith(("deepseek", *OTHERS)))
LOOSE = {"perplexity_ratio": 1e6, "kl_mean": 50, "kl_99": 500, "top1_agreement": 0, "generation_agreement": 0}
WORDS = ["the", "cat", "sat", "on", "mat", "and", "a", "dog", "ran", "far", "away", "back"]
CHANCE = random.Random(7)
TEXTS = [" ".join(CHANCE.choices(WORDS, k=60)) for _ in range(28)]


def test_windows_follow_from_seed_and_step_and_begin_with_a_piece():
    texts = [list(range(base, base + 7 + index)) for index, base in enumerate(range(100, 2000, 100))]

    def windows(seed):
        return Windows([*texts, []], length=10, size=3, seed=seed)

    one, other = windows(5), windows(5)
    in_order = [one[step] for step in range(20)]
    assert other[17] == in_order[17]
    assert other[2] == in_order[2]
    assert [windows(6)[step] for step in range(20)] != in_order
    begins = {text[at] for text in texts for at in range(0, len(text), 10)}
    for window in (window for batch in in_order for window in batch):
        assert len(window) == 10
        assert window[0] in begins
    # Every token of the texts comes in some window.
    seen = {token for step in range(200) for window in one[step] for token in window}
    assert seen == {token for text in texts for token in text}


@pytest.mark.parametrize("texts", [[], [[]], [[3]], [[3, 4, 5]]], ids=str)
def test_windows_of_few_tokens_repeat_them(texts):
    windows = Windows(texts, length=8, size=2, seed=0)
    assert all(len(window) == 8 for window in windows[3])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("decoder")
    config = decoder.CONFIGS["qwen2"]
    weights = decoder.random_weights(config, 53)
    weights["model.embed_tokens.weight"] *= 0.2  # random weights would be sure that each token repeats itself
    convert_model(decoders.write(path / "hf", config, weights), path / "model")
    return path / "model"


@pytest.mark.torch
@pytest.mark.parametrize("family", FAMILIES)
def test_the_forward_in_torch_is_the_engines(family, seed, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill import decoder_forward
    from arrowmind.quantize.distill.decoder_forward import Cache, forward, logits

    monkeypatch.setattr(decoder_forward, "_QUERIES", 16)  # two blocks of queries and a part of one
    source, config, weights = decoders.write_family(tmp_path / "hf", family, seed)
    convert_model(source, tmp_path / "model")
    engine = ArrowEngine(tmp_path / "model")
    ids = np.random.default_rng(seed).integers(0, config["vocab_size"], 40).tolist()
    expected = engine.logits(ids)
    model, bound = engine._folder.decoder, decoders.logits_bound(config, expected)
    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}.__getitem__
    found = logits(model, tensors, forward(model, tensors, torch.tensor([ids, ids]))[-1])
    assert np.abs(found.numpy() - expected).max() <= 2 * bound
    # One token after the other, as texts are drawn.
    cache = Cache(len(ids))
    parts = [forward(model, tensors, torch.tensor([part]), cache)[-1] for part in ([*ids[:3]], *zip(ids[3:]))]
    apart = logits(model, tensors, torch.cat(parts, 1))[0]
    assert np.abs(apart.numpy() - expected).max() <= 2 * bound


@pytest.mark.torch
@pytest.mark.parametrize("family", OTHERS)
def test_experts_and_latent_rows_are_refused(family, seed, tmp_path):
    pytest.importorskip("torch")
    source, _, _ = decoders.write_family(tmp_path / "hf", family, seed)
    with pytest.raises(QuantizationError, match=r"(experts|latent rows); use calibration 'gptq'"):
        quantised(source, tmp_path / "q")
    assert not (tmp_path / "q").exists()


@pytest.mark.torch
def test_texts_are_drawn_as_the_model_foretells_and_by_seed(folder):
    torch = pytest.importorskip("torch")
    from arrowmind.quantize.distill.decoder_forward import forward, logits
    from arrowmind.quantize.distill.sampling import draw

    model = ArrowEngine(folder)._folder.decoder
    with open_weights(folder) as weights:
        tensors = {name: torch.from_numpy(weights.real_values(name)) for name in weights.names()}

    def drawn(seed, begin=(3, 1), tokens=6000, length=3):
        return draw(
            model, tensors.__getitem__, begin, tokens=tokens, length=length, seed=seed, progress=no_progress
        )

    texts = drawn(1)
    assert texts == drawn(1)
    assert texts != drawn(2)
    assert all(len(text) == 3 and text[:2] == [3, 1] for text in texts)
    states = forward(model, tensors.__getitem__, torch.tensor([[3, 1]]))[-1][0, -1]
    shares = logits(model, tensors.__getitem__, states).softmax(-1).double().numpy()
    found = np.bincount([text[2] for text in texts], minlength=len(shares)) / len(texts)
    # Four standard deviations of a share.
    assert (np.abs(found - shares) <= 4 * np.sqrt(shares * (1 - shares) / len(texts)) + 1 / len(texts)).all()
    assert len({text[0] for text in drawn(1, begin=())}) > 30


def quantised(folder, output, progress=no_progress, texts=TEXTS[4:], **choices):
    config = QuantizationConfig(
        **{**LOOSE, "quant_type": "int2", "group_size": 16, "calibration": "distill", "steps": 60, **choices}
    )
    quantizer = ArrowQuantizer(config, texts=TEXTS[:4], calibration_texts=texts)
    return quantizer.quantize(folder, output, progress=progress)


@pytest.mark.torch
def test_training_beats_its_start(folder, tmp_path):
    pytest.importorskip("torch")
    start = quantised(folder, tmp_path / "start", calibration="gptq")
    trained = quantised(folder, tmp_path / "trained", steps=100)
    print(start.kl_mean, trained.kl_mean)
    assert trained.kl_mean < 0.95 * start.kl_mean
    assert trained.method == "distill"


@pytest.mark.torch
@pytest.mark.parametrize("largest", [0, 1 << 24], ids=["too-large", "learns"])
def test_tables_learn_unless_they_are_too_large(folder, tmp_path, monkeypatch, largest):
    pytest.importorskip("torch")
    monkeypatch.setattr(distill, "_LARGEST_TABLE", largest)
    quantised(folder, tmp_path / "q", steps=3)
    with open_weights(folder) as before, open_weights(tmp_path / "q") as after:
        name = "model.embed_tokens.weight"
        assert after.spec(name).quant_type == "fp16"
        same = np.array_equal(after.real_values(name), before.real_values(name).astype(np.float16))
    assert same == (largest == 0)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("texts", "steps", "more"), [(TEXTS[4:], 10, False), (TEXTS[4:8], 60, True), (None, 3, True)]
)
def test_the_model_writes_what_texts_lack(folder, tmp_path, texts, steps, more, monkeypatch):
    """A token of the texts is seen eight times at most before the model is asked for others."""
    pytest.importorskip("torch")
    stages = set()
    monkeypatch.setattr(distill, "_WINDOW", 64)
    quantised(folder, tmp_path / "q", lambda done, total, what: stages.add(what), texts=texts, steps=steps)
    assert ("drawing texts" in stages) == more


@pytest.mark.torch
@pytest.mark.parametrize("texts", [TEXTS[4:], None], ids=["given", "drawn"])
def test_training_goes_on_where_it_was_cut(folder, tmp_path, texts):
    pytest.importorskip("torch")
    whole = quantised(folder, tmp_path / "whole", texts=texts, steps=20)

    def interrupt(done, total, what):
        if what == "distilling" and done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantised(folder, tmp_path / "cut", interrupt, texts=texts, steps=20)
    assert not (tmp_path / "cut").exists()
    stages = set()
    went_on = quantised(
        folder, tmp_path / "cut", lambda done, total, what: stages.add(what), texts=texts, steps=20
    )
    assert went_on.candidate == whole.candidate
    assert "drawing texts" not in stages  # what was written is kept
