"""What calibration sees, and what a model that was quantised with it computes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import bert, folder, tokenizer

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.engine.calibration import observe_inputs
from arrowmind.engine.moments import MomentObserver
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.weights import convert_model, open_weights, write_weights
from arrowmind.weights.manifest import refresh_entry
from arrowmind.weights.tensor import float_tensor

TEXTS = ["the cat sat on the mat.", "a dog", "the dog ran far away, and back!", "", "cat " * 60]
LOW = {"cosine_mean": 0.5, "cosine_min": 0.5, "overlap_at_10": 0.0}
OUTLIER, SIZE = 5, 15.0


@pytest.fixture(scope="module")
def weights():
    """A tiny BERT whose norms make one input of every matrix behind them far larger than the others."""
    weights = folder.weights()
    readers = ("self.query.weight", "self.key.weight", "self.value.weight", "intermediate.dense.weight")
    for name in weights:
        if name.endswith("LayerNorm.weight") and name != "encoder.layer.1.output.LayerNorm.weight":
            weights[name][OUTLIER] *= SIZE
        if name.endswith(readers):
            weights[name][:, OUTLIER] /= SIZE
    return weights


@pytest.fixture(scope="module")
def model(tmp_path_factory, weights):
    path = tmp_path_factory.mktemp("models")
    convert_model(folder.write(path / "original", weights), path / "tiny")
    return path / "tiny"


def quantised(model, path, **options):
    ArrowQuantizer(QuantizationConfig(**LOW, **options)).quantize(model, path)
    return path


def cosines(model, weights, **options):
    tokens = tokenizer.build()
    tokens.enable_truncation(folder.MAX_TOKENS)
    wanted = np.stack([bert.embed(weights, tokens.encode(text).ids, folder.HEADS) for text in TEXTS])
    return (ArrowEngine(model, **options).encode(TEXTS) * wanted).sum(axis=1)


def test_statistics_are_those_of_the_inputs(model, weights):
    groups = observe_inputs(model, TEXTS)
    layers = bert.config(weights, folder.HEADS)["num_hidden_layers"]
    assert [len(group.names) for group in groups] == [3, 1, 1, 1] * layers
    first = groups[0]
    assert first.names[0] == "encoder.layer.0.attention.self.query.weight"
    inputs = first_inputs(weights)
    np.testing.assert_allclose(first.magnitude, np.abs(inputs).max(axis=0), rtol=1e-4)
    np.testing.assert_allclose(first.mean_square, (inputs**2).mean(axis=0), rtol=1e-4)
    assert first.magnitude.argmax() == OUTLIER


def first_inputs(weights):
    """What enters the first matrices: the norm of the embeddings, of all tokens of all texts."""
    tokens = tokenizer.build()
    tokens.enable_truncation(folder.MAX_TOKENS)
    rows = []
    for text in TEXTS:
        ids = tokens.encode(text).ids
        x = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: len(ids)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        ).astype(np.float64)
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        rows.append(x * weights["embeddings.LayerNorm.weight"] + weights["embeddings.LayerNorm.bias"])
    return np.concatenate(rows)


def test_moments_are_those_of_the_inputs(model, weights):
    observer = MomentObserver(model, TEXTS, threads=2)
    assert [len(group.names) for group in observer.groups[:4]] == [3, 1, 1, 1]
    assert [group.block for group in observer.groups[::4]] == list(range(len(observer.groups) // 4))
    tokens = tokenizer.build()
    tokens.enable_truncation(folder.MAX_TOKENS)
    lengths = [len(tokens.encode(text).ids) for text in TEXTS]
    weight = np.repeat(np.array(lengths) ** -0.5, lengths)
    inputs = first_inputs(weights)
    wanted = (inputs * weight[:, None]).T @ inputs / weight.sum()
    groups = observer.groups[:4]
    moments = observer.moments(groups, {})
    np.testing.assert_allclose(moments[0], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    for group, found in zip(groups, moments, strict=True):
        assert found.shape == (group.inputs, group.inputs)
        np.testing.assert_array_equal(found, found.T)
    again = MomentObserver(model, TEXTS, threads=1).moments(groups[1:], {})
    np.testing.assert_allclose(again[-1], moments[-1], rtol=1e-5, atol=1e-6 * np.abs(moments[-1]).max())


def test_moments_see_what_was_replaced(model, weights):
    observer = MomentObserver(model, TEXTS, threads=1)
    name = observer.groups[0].names[2]
    group = observer.groups[1:2]
    halved = observer.moments(
        group, {name: weights[name] / 2, name[:-6] + "bias": weights[name[:-6] + "bias"] / 2}
    )
    np.testing.assert_allclose(halved[0], observer.moments(group, {})[0] / 4, rtol=1e-3, atol=1e-5)


def test_a_record_that_overflows_is_refused(model):
    from arrowmind import _native

    plan = _native.Plan(vocabulary=4, max_length=8, output_columns=4)
    source = plan.buffer("fp32", 4)
    with pytest.raises(InvalidArgumentError, match="one count"):
        plan.record(source, np.zeros((2, 3), np.float32), np.zeros(1, np.int64))
    observer = MomentObserver(model, TEXTS, threads=1)
    observer._batches[0].offsets[-1] += 0
    from arrowmind.engine import moments

    capacity = moments._RUN_TOKENS
    try:
        moments._RUN_TOKENS = -1
        observer._folder.config["arrowmind"]["max_tokens"] = 1
        with pytest.raises(InvalidArgumentError):
            observer.moments(observer.groups[:1], {})
    finally:
        moments._RUN_TOKENS = capacity


def test_gptq_beats_rounding_on_its_own_texts(model, weights, tmp_path):
    options = {"activation": "fp32", "smoothing": 0.0, "symmetric": True}
    plain = cosines(quantised(model, tmp_path / "ptq", **options), weights)
    better = cosines(quantised(model, tmp_path / "gptq", calibration="gptq", **options), weights)
    print(plain, better)
    assert (1 - better).mean() < (1 - plain).mean()


def test_equal_texts_give_equal_statistics(model):
    for once, again in zip(observe_inputs(model, TEXTS), observe_inputs(model, TEXTS), strict=True):
        np.testing.assert_array_equal(once.magnitude, again.magnitude)
        np.testing.assert_array_equal(once.mean_square, again.mean_square)


def test_no_texts_are_refused(model):
    with pytest.raises(InvalidArgumentError, match="at least one"):
        observe_inputs(model, [])


def test_input_scales_save_int8_activations_from_outliers(model, weights, tmp_path):
    options = {"activation": "int8"}
    with_scales = cosines(quantised(model, tmp_path / "scaled", **options), weights)
    without = cosines(quantised(model, tmp_path / "plain", smoothing=0.0, **options), weights)
    print(with_scales, without)
    assert with_scales.min() > 0.99
    assert np.median(1 - with_scales) < np.median(1 - without) / 10


def test_scaled_inputs_in_floating_point(model, weights, tmp_path):
    path = quantised(model, tmp_path / "scaled")
    assert cosines(path, weights, optimize=False).min() > 0.999
    convert_model(path, tmp_path / "floats", quant_type="fp32")
    ours = ArrowEngine(path, optimize=False).encode(TEXTS)
    floats = ArrowEngine(tmp_path / "floats").encode(TEXTS)
    np.testing.assert_allclose(floats, ours, rtol=0, atol=3e-5)


def replaced(source, target, change):
    """A copy of the weights of `source`, some tensors changed by `change(name, values)`; None drops one."""
    convert_model(source, target)
    with open_weights(source) as weights:
        tensors = []
        for name in weights.names():
            tensor = weights.tensor(name)
            if name.endswith("input_scale"):
                values = change(name, tensor.to_float32())
                tensor = None if values is None else float_tensor(name, values)
            if tensor is not None:
                tensors.append(tensor)
        write_weights(target / "weights.arrow", tensors, weights.documents)
    refresh_entry(target / "weights.arrow")
    return target


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda name, values: values * 2 if "query" in name else values, "scale it differently"),
        (lambda name, values: None if "query" in name else values, "scale it differently"),
        (lambda name, values: values[:-1], "inputs"),
        (lambda name, values: -values, "not positive"),
    ],
)
def test_scales_that_cannot_be(model, tmp_path, change, what):
    path = replaced(quantised(model, tmp_path / "scaled"), tmp_path / "changed", change)
    with pytest.raises(WeightError, match=what):
        ArrowEngine(path, judge=False)
