"""From a model folder to a smaller one, checked before it appears."""

from __future__ import annotations

import json

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError, PrecisionError, QuantizationError, WeightError
from arrowmind.quantize import ArrowQuantizer, PrecisionReport, QuantizationConfig, register_embedder
from arrowmind.quantize.embedders import registered_embedder
from arrowmind.weights import convert_model, open_weights, verify_model

LOW = {"cosine_mean": 0.9, "cosine_min": 0.9}


def quantize(model, output, embedder=None, formats=("native",), **options):
    config = QuantizationConfig(**{**LOW, **options})
    return ArrowQuantizer(config, embedder=embedder).quantize(model, output, formats=formats)


def test_types_and_errors(model, weights, embedder, tmp_path):
    report = quantize(model, tmp_path / "out", embedder)
    assert report.passed
    assert report.cosine_mean > 0.9999
    with open_weights(tmp_path / "out") as result:
        kinds = {name: (spec.quant_type, spec.activation) for name in weights for spec in [result.spec(name)]}
        for name, original in weights.items():
            error = np.linalg.norm(result.tensor(name).to_float32() - original) / np.linalg.norm(original)
            assert error < 0.01
            assert report.tensors.get(name, 0.0) == pytest.approx(error, rel=0.01)
    assert kinds == {
        "embeddings.word_embeddings.weight": ("int8", "fp32"),
        "embeddings.position_embeddings.weight": ("fp16", "fp32"),
        "encoder.layer.0.attention.self.query.weight": ("int8", "int16"),
        "encoder.layer.0.attention.output.dense.weight": ("int8", "int8"),
        "encoder.layer.0.intermediate.dense.weight": ("int8", "int16"),
        "encoder.layer.0.output.dense.weight": ("int8", "int16"),
        "encoder.layer.0.output.dense.bias": ("fp32", "fp32"),
    }


@pytest.mark.parametrize("activation", ["int16", "int8", "fp32"])
def test_activation_can_be_set_for_all_matrices(activation, model, embedder, tmp_path):
    quantize(model, tmp_path / "out", embedder, activation=activation)
    with open_weights(tmp_path / "out") as result:
        specs = [result.spec(name) for name in result.names()]
    assert {spec.activation for spec in specs if spec.layout == "n16k4"} == {activation}


@pytest.mark.parametrize(
    ("keep_type", "pattern"), [("fp16", "*.output.dense"), ("fp32", "*.output.dense.weight")]
)
def test_kept_layers(keep_type, pattern, model, embedder, tmp_path):
    quantize(model, tmp_path / "out", embedder, keep=(pattern,), keep_type=keep_type)
    with open_weights(tmp_path / "out") as result:
        kinds = {name: result.spec(name).quant_type for name in result.names()}
    kept = [name for name in kinds if name.endswith(".output.dense.weight")]
    assert len(kept) == 2
    assert {kinds[name] for name in kept} == {keep_type}
    assert kinds["encoder.layer.0.attention.self.query.weight"] == "int8"


@pytest.mark.parametrize(
    "options", [{"symmetric": True}, {"per_channel": False}, {"symmetric": True, "per_channel": False}]
)
def test_schemes(options, model, embedder, tmp_path):
    report = quantize(model, tmp_path / "out", embedder, **options)
    name = "encoder.layer.0.output.dense.weight"
    with open_weights(tmp_path / "out") as result:
        tensor = result.tensor(name)
        assert (tensor.zero_points is None) == options.get("symmetric", False)
        assert tensor.spec.quant_axis == (0 if options.get("per_channel", True) else -1)
        assert len(set(tensor.scales[: tensor.spec.rows].tolist())) > 1 or not options.get(
            "per_channel", True
        )
    assert report.tensors[name] < 0.02


def test_report_and_configuration_travel_with_the_weights(model, embedder, tmp_path):
    report = quantize(model, tmp_path / "out", embedder, seed=5)
    with open_weights(tmp_path / "out") as result:
        assert PrecisionReport.from_dict(result.precision) == report
        assert result.documents["quantization"]["seed"] == 5
        assert report.candidate == result.fingerprint
    with open_weights(model) as original:
        assert report.reference == original.fingerprint
    assert report.bytes < report.reference_bytes / 3
    assert 8 < report.bits_per_weight < 11
    json.dumps(report.to_dict())
    assert "passed" in str(report)
    assert verify_model(tmp_path / "out").ok


def test_below_the_threshold_nothing_is_left(model, embedder, tmp_path):
    config = QuantizationConfig(cosine_mean=1.0, cosine_min=1.0)
    with pytest.raises(PrecisionError, match="below the threshold"):
        ArrowQuantizer(config, embedder=embedder).quantize(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", [np.nan, 0.0])
def test_embeddings_that_are_no_vectors_are_refused(broken, model, embedder, tmp_path):
    def sometimes_broken(folder):
        embed = embedder(folder)
        return embed if folder == model else lambda texts: embed(texts) * np.float32(broken)

    with pytest.raises(PrecisionError, match="worst"):
        quantize(model, tmp_path / "out", sometimes_broken)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_registered_embedder():
    """Nothing is registered, whatever other tests of this process imported; afterwards, all is as it was."""
    before = registered_embedder()
    register_embedder(None)
    yield
    register_embedder(before)


@pytest.mark.usefixtures("no_registered_embedder")
def test_the_registered_engine_is_used(model, embedder, tmp_path):
    assert quantize(model, tmp_path / "unmeasured").verdict == "not measured"
    register_embedder(embedder)
    assert quantize(model, tmp_path / "measured").verdict == "passed"


def test_parquet_v2_is_lossless_for_codes(model, embedder, tmp_path):
    quantize(model, tmp_path / "q", embedder, formats=["native", "parquet-v2"])
    convert_model(tmp_path / "q" / "weights.parquet", tmp_path / "back")
    first, last = (tmp_path / name / "weights.arrow" for name in ("q", "back"))
    assert first.read_bytes() == last.read_bytes()


def test_quantising_twice_is_refused(model, embedder, tmp_path):
    quantize(model, tmp_path / "q", embedder)
    with pytest.raises(QuantizationError, match="already"):
        quantize(tmp_path / "q", tmp_path / "again", embedder)
    with pytest.raises(WeightError, match="Parquet V1 holds floats"):
        convert_model(tmp_path / "q", tmp_path / "v1", formats=["parquet-v1"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quant_type": "int3"}, "quant_type 'int3' is not served; use int8"),
        ({"calibration": "gptq"}, "use ptq"),
        ({"activation": "int4"}, "auto or int16"),
        ({"keep": "a"}, "is one string"),
        ({"cosine_min": 2}, "no cosine"),
    ],
)
def test_configuration_is_checked(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        QuantizationConfig(**options)
