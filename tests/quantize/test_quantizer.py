"""From a model folder to a smaller one, checked before it appears."""

from __future__ import annotations

import json

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError, PrecisionError, QuantizationError, WeightError
from arrowmind.quantize import (
    ArrowQuantizer,
    InputStatistics,
    PrecisionReport,
    QuantizationConfig,
    register_embedder,
    register_observer,
    validate,
)
from arrowmind.quantize.calibration_texts import CALIBRATION_TEXTS
from arrowmind.quantize.embedders import registered_embedder, registered_observer
from arrowmind.quantize.probes import PROBES
from arrowmind.quantize.report import hash_of_texts
from arrowmind.weights import convert_model, open_weights, verify_model

LOW = {"cosine_mean": 0.9, "cosine_min": 0.9, "overlap_at_10": 0.0}


def quantize(model, output, embedder=None, formats=("native",), observer=None, **options):
    config = QuantizationConfig(**{**LOW, **options})
    quantizer = ArrowQuantizer(config, embedder=embedder, observer=observer)
    return quantizer.quantize(model, output, formats=formats)


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


@pytest.mark.parametrize("vector_type", ["int8", "fp16", "fp32"])
def test_types_of_biases_and_norms(vector_type, model, embedder, tmp_path):
    quantize(model, tmp_path / "out", embedder, vector_type=vector_type)
    with open_weights(tmp_path / "out") as result, open_weights(model) as original:
        vectors = [name for name in result.names() if len(result.spec(name).shape) == 1]
        assert {result.spec(name).quant_type for name in vectors} == {vector_type}
        for name in vectors:
            wanted = original.tensor(name).to_float32()
            error = np.abs(result.tensor(name).to_float32() - wanted)
            if vector_type == "int8":
                assert result.spec(name).scale_count == 1
                assert (error**2).mean() <= (
                    np.ptp(wanted) / 254
                ) ** 2 / 3  # at most as if evenly spread over a step
            else:
                assert (error <= 2.0**-11 * np.abs(wanted) + 2.0**-25).all()


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


def test_the_report_tells_how_the_codes_were_found(model, embedder, tmp_path):
    plain = quantize(model, tmp_path / "plain", embedder, smoothing=0.0, seed=3)
    assert (plain.method, plain.seed, plain.calibration_sha256) == ("ptq", 3, "")
    built_in = quantize(model, tmp_path / "built-in", embedder, observer=observer)
    assert built_in.calibration_sha256 == hash_of_texts(CALIBRATION_TEXTS)
    given = ArrowQuantizer(
        QuantizationConfig(**LOW), embedder=embedder, observer=observer, calibration_texts=["one", "two"]
    ).quantize(model, tmp_path / "given")
    assert given.calibration_sha256 == hash_of_texts(["one", "two"])
    assert f"sha256 {given.calibration_sha256}" in str(given)
    again = validate(model, tmp_path / "given", embedder=embedder)
    assert (again.method, again.calibration_sha256) == ("ptq", given.calibration_sha256)


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
def nothing_registered():
    """Nothing is registered, whatever other tests of this process imported; afterwards, all is as it was."""
    before = registered_embedder(), registered_observer()
    register_embedder(None)
    register_observer(None)
    yield
    register_embedder(before[0])
    register_observer(before[1])


@pytest.mark.usefixtures("nothing_registered")
def test_the_registered_engine_is_used(model, embedder, tmp_path):
    assert quantize(model, tmp_path / "unmeasured").verdict == "not measured"
    register_embedder(embedder)
    assert quantize(model, tmp_path / "measured").verdict == "passed"


QUERY = "encoder.layer.0.attention.self.query"
OUTPUT = "encoder.layer.0.output.dense"


def observer(folder, texts):
    """One input of each of two matrices is a hundred times larger than the others."""
    assert folder.is_dir()
    assert texts
    groups = []
    for name, inputs in ((QUERY, 24), (OUTPUT, 40)):
        magnitude = np.ones(inputs)
        magnitude[3] = 100.0
        groups.append(InputStatistics((f"{name}.weight",), magnitude, magnitude**2 / 9))
    return groups


def test_calibration_scales_inputs(model, weights, embedder, tmp_path):
    report = quantize(model, tmp_path / "q", embedder, observer=observer, keep=(f"{OUTPUT}.*",))
    name = f"{QUERY}.weight"
    with open_weights(tmp_path / "q") as result:
        scale = result.input_scale(name)
        assert result.input_scale(f"{OUTPUT}.weight") is None  # kept in floating point
        assert result.spec(name).activation == "int8"
        assert result.spec("encoder.layer.0.intermediate.dense.weight").activation == "int16"
        stored, real = result.tensor(name).to_float32(), result.real_values(name)
    others = np.delete(scale, 3)
    assert 0.05 < scale[3] / np.median(others) < 0.2  # a tenth: the square root of the magnitude
    assert np.exp(np.log(scale.astype(np.float64)).mean()) == pytest.approx(1, rel=1e-5)
    error = np.linalg.norm(real - weights[name]) / np.linalg.norm(weights[name])
    assert error < 0.02
    assert report.tensors[name] == pytest.approx(error, rel=0.01)
    np.testing.assert_array_equal(real, stored * scale)


def test_input_scales_survive_every_format(model, weights, embedder, tmp_path):
    quantize(model, tmp_path / "q", embedder, observer=observer, formats=["native", "parquet-v2"])
    convert_model(tmp_path / "q" / "weights.parquet", tmp_path / "back")
    first, last = (tmp_path / name / "weights.arrow" for name in ("q", "back"))
    assert first.read_bytes() == last.read_bytes()
    convert_model(tmp_path / "q", tmp_path / "floats", formats=["safetensors"], quant_type="fp32")
    with open_weights(tmp_path / "q") as ours, open_weights(tmp_path / "floats") as theirs:
        name = f"{QUERY}.weight"
        assert theirs.input_scale(name) is None
        np.testing.assert_array_equal(theirs.tensor(name).to_float32(), ours.real_values(name))


def test_calibration_texts_are_not_those_of_the_check():
    assert not set(CALIBRATION_TEXTS) & set(PROBES)


def test_calibration_can_be_turned_off(model, embedder, tmp_path):
    quantize(model, tmp_path / "q", embedder, observer=observer, smoothing=0.0)
    with open_weights(tmp_path / "q") as result:
        assert not [name for name in result.names() if name.endswith("input_scale")]


def test_parquet_v2_is_lossless_for_codes(model, embedder, tmp_path):
    quantize(model, tmp_path / "q", embedder, formats=["native", "parquet-v2"])
    convert_model(tmp_path / "q" / "weights.parquet", tmp_path / "back")
    first, last = (tmp_path / name / "weights.arrow" for name in ("q", "back"))
    assert first.read_bytes() == last.read_bytes()


@pytest.mark.parametrize(("table_type", "bits"), [("int8", 8), ("int4", 4), ("int2", 2)])
def test_tables_beside_matrices_on_grids(model, embedder, weights, tmp_path, table_type, bits):
    low = {"cosine_mean": 0, "cosine_min": -1, "overlap_at_10": 0}
    config = QuantizationConfig(quant_type="int4", table_type=table_type, **low)
    ArrowQuantizer(config, embedder=embedder).quantize(model, tmp_path / "q")
    name = "embeddings.word_embeddings.weight"
    with open_weights(tmp_path / "q") as source:
        assert source.spec(name).quant_type == table_type
        assert source.spec("encoder.layer.0.output.dense.weight").quant_type == "int4"
        error = np.linalg.norm(source.real_values(name) - weights[name]) / np.linalg.norm(weights[name])
    assert error < 1.6 * 2.0**-bits


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
        ({"calibration": "awq"}, "calibration 'awq' is not served; use distill or gptq or ptq"),
        ({"group_size": 32}, "int8 has a scale per row"),
        ({"quant_type": "int4", "group_size": 24}, "group size 24 is not served"),
        ({"quant_type": "int4", "per_channel": False}, "a scale per group"),
        ({"quant_type": "int4", "activation": "int16"}, "does not go with int4"),
        ({"quant_type": "fp4", "zero_points": True}, "no zero points"),
        ({"pair_bound": True}, "add symmetric=True"),
        ({"damping": 2}, "damping 2 is out of range"),
        ({"sweeps": -1}, "sweeps -1 is out of range"),
        ({"bits_budget": 0}, "bits_budget 0 is out of range"),
        ({"bits_budget": 3.2, "size_budget": 10**7}, "give one"),
        ({"activation": "int4"}, "auto or int16"),
        ({"keep": "a"}, "is one string"),
        ({"cosine_min": 2}, "no cosine"),
        ({"overlap_at_10": -0.5}, "no share"),
        ({"smoothing": 1.5}, "smoothing 1.5 is out of range"),
    ],
)
def test_configuration_is_checked(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        QuantizationConfig(**options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0.997),
        ({"symmetric": True, "pair_bound": True}, 0.996),
        ({"symmetric": True, "pair_bound": True, "bound_columns": 2}, 0.997),
        ({"symmetric": True, "pair_bound": True, "cosine_min": 0.999}, 0.999),
    ],
)
def test_the_smallest_cosine_asked_for_is_that_of_how_codes_are_bound(options, expected):
    assert QuantizationConfig(**options).thresholds.cosine_min == expected
