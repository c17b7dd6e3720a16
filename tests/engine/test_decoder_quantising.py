"""Quantising language models: every method, the check of what they foretell, and its refusal."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine import decoders
from tests.kernels.rows import assert_same_bits
from tests.reference import decoder

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig, _native
from arrowmind.engine.calibration import observe_inputs
from arrowmind.engine.folder import ModelFolder
from arrowmind.engine.language import LanguageModel
from arrowmind.engine.layers import Options
from arrowmind.engine.moments import MomentObserver
from arrowmind.errors import PrecisionError
from arrowmind.quantize import validate
from arrowmind.weights import convert_model, open_weights

SEED = 53
TEXTS = ["the cat sat on the mat and a dog ran far away", "a dog sat back, and ran!", "", "the mat."]
LOOSE = {"perplexity_ratio": 1e6, "kl_mean": 50, "kl_99": 500, "top1_agreement": 0, "generation_agreement": 0}


@pytest.fixture(scope="module", params=["qwen2", "gemma3", "qwen2-moe"])
def source(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder")
    source, _, _ = decoders.write_family(folder / "hf", request.param, SEED)
    convert_model(source, folder / "model")
    return folder / "model"


def quantised(source, output, **choices):
    config = QuantizationConfig(**{**LOOSE, **choices})
    return ArrowQuantizer(config, texts=TEXTS, calibration_texts=TEXTS * 4).quantize(source, output)


@pytest.mark.parametrize(
    ("choices", "most"),
    [
        ({"quant_type": "int8"}, 0.01),
        ({"quant_type": "int4", "group_size": 16}, 0.3),
        ({"quant_type": "int4", "group_size": 16, "calibration": "gptq"}, 0.3),
        ({"quant_type": "int2", "group_size": 16, "calibration": "gptq"}, 3.0),
        ({"quant_type": "fp4"}, 0.5),
        ({"quant_type": "int4", "bits_budget": 8.5, "group_size": 16}, 0.3),
    ],
    ids=str,
)
def test_every_width_keeps_what_it_can(source, tmp_path, choices, most):
    report = quantised(source, tmp_path / "q", **choices)
    assert report.passed
    assert 0 < report.kl_mean < most
    assert report.tokens > 20
    assert ArrowEngine(tmp_path / "q").logits("the cat").shape[1] == 67
    again = validate(source, tmp_path / "q", texts=TEXTS)
    assert (again.kl_mean, again.perplexity_ratio) == (report.kl_mean, report.perplexity_ratio)
    with open_weights(tmp_path / "q") as weights:
        kinds = {name: weights.spec(name).quant_type for name in weights.names()}
    matrices = {kind for name, kind in kinds.items() if name.endswith("_proj.weight")}
    assert matrices <= {"int8", "int4", "int2"} or matrices == {choices["quant_type"]}
    assert kinds["model.embed_tokens.weight"] == "fp16"


def test_what_is_too_far_is_refused_and_says_why(source, tmp_path):
    with pytest.raises(PrecisionError, match=r"divergence mean .* \(at most 0.0 needed\)"):
        quantised(source, tmp_path / "q", kl_mean=0)
    assert not (tmp_path / "q").exists()


def test_moments_are_those_of_what_enters(source):
    """Of the first block: the norm of the embeddings, by the reference."""
    observer = MomentObserver(source, TEXTS, threads=1)
    first = observer.groups[0]
    assert [name.split(".")[-2] for name in first.names] == ["q_proj", "k_proj", "v_proj"]
    (found,) = observer.moments([first], {})
    engine = ArrowEngine(source)
    with open_weights(source) as weights:
        config = weights.model
        known = {name: weights.tensor(name).to_float32() for name in weights.names()}
    forward = decoder._Forward(config, known)
    ids = [token for text in TEXTS for token in engine.tokenise(text)]
    x = forward.weights["model.embed_tokens.weight"][ids]
    x = x * config["hidden_size"] ** 0.5 if forward.gemma else x
    x = forward.norm(x, "model.layers.0.input_layernorm")
    expected = x.T @ x / len(ids)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    squares = observe_inputs(source, TEXTS)[0].mean_square
    assert np.allclose(squares, np.diagonal(expected), rtol=1e-5)


def test_embeddings_are_roots_of_what_is_foretold(source):
    observer = MomentObserver(source, TEXTS, threads=1)
    rows = observer.embeddings({})
    assert rows.shape[1] == 67
    assert np.allclose((rows**2).sum(axis=1), 1, atol=1e-5)


def test_gates_and_ups_of_experts_go_by_what_all_tokens_bring(tmp_path):
    decoders.write_family(tmp_path / "hf", "qwen3-moe", SEED)
    convert_model(tmp_path / "hf", tmp_path / "model")
    observer = MomentObserver(tmp_path / "model", TEXTS, threads=1)
    experts = [group for group in observer.groups if ".experts." in group.names[0]]
    assert [group.block for group in experts] == [0, 2]
    assert len(experts[0].names) == 16
    assert not any("down_proj" in name for name in experts[0].names)
    report = quantised(
        tmp_path / "model", tmp_path / "q", quant_type="int4", group_size=16, calibration="gptq"
    )
    assert report.kl_mean < 0.3
    with open_weights(tmp_path / "q") as weights:
        assert weights.spec("model.layers.2.mlp.experts.7.down_proj.weight").quant_type == "int4"
        assert weights.spec("model.layers.2.mlp.gate.weight").quant_type == "fp32"


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("mixtral", {"quant_type": "int8"}),
        ("deepseek-v3", {"quant_type": "int4", "group_size": 16}),
    ],
    ids=str,
)
def test_quantised_experts_are_their_real_values_in_any_batch(tmp_path, name, choices):
    """Against float64 over what the codes stand for: tight with float activations, loose with integers."""
    _, config, _ = decoders.write_family(tmp_path / "hf", name, SEED)
    convert_model(tmp_path / "hf", tmp_path / "model")
    quantised(tmp_path / "model", tmp_path / "q", **choices)
    folder = ModelFolder(tmp_path / "q")
    known = {
        one: folder.weights.real_values(one) for one in folder.weights.names() if "input_scale" not in one
    }
    tokens = [3, 66, 0, 17, 17, 5, 31, 2, 60, 44, 8, 9, 1, 50]
    for one in known:
        if "kv_b_proj" in one:  # matrices of heads are made of it, in float16
            known[one] = known[one].astype(np.float16).astype(np.float32)
    expected = decoder.logits(config, known, tokens)

    def model(threads, *, quantise):
        pool = _native.ThreadPool(threads)
        return LanguageModel(folder.decoder, folder.weights, 64, pool, Options(quantise))

    exact = model(1, quantise=False)
    found = exact.logits(exact.states([tokens])[0])
    # A row that is scaled, and its matrix divided by the scale, rounds twice more.
    assert np.abs(found - expected).max() <= 2 * decoders.logits_bound(config, expected)
    coded = model(1, quantise=True)
    whole = coded.logits(coded.states([tokens])[0])
    # Of most rows: now and then two experts are so near each other that another is chosen.
    assert np.median(np.abs(whole - expected).max(axis=1)) <= 0.1 * np.abs(expected).max()
    shared = model(3, quantise=True)
    states = shared.states([tokens[:5], tokens, [7] * 40])
    assert_same_bits(shared.logits(states[1]), whole)
    assert_same_bits(shared.logits(states[0]), whole[:5])
