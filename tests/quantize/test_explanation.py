"""What is told of a model: formats, true bits, errors, totals, certificate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from arrowmind.errors import WeightError
from arrowmind.quantize import ArrowQuantizer, QuantizationConfig, explain
from arrowmind.weights import convert_model, open_weights, write_weights
from arrowmind.weights.tensor import float_tensor
from arrowmind.weights.writer import rewrite_documents

LOW = {"cosine_mean": 0.0, "cosine_min": -1.0, "overlap_at_10": 0.0}
TABLE = "embeddings.word_embeddings.weight"
MATRIX = "encoder.layer.0.output.dense.weight"


def quantised(model, embedder, path, **options):
    config = QuantizationConfig(**LOW, **options)
    return ArrowQuantizer(config, embedder=embedder).quantize(model, path)


def by_name(explanation):
    return {tensor.name: tensor for tensor in explanation.tensors}


def test_an_original_has_floats_and_no_certificate(model, weights):
    found = explain(model)
    assert found.kind == "native"
    assert found.certificate is None
    assert set(by_name(found)) == set(weights)
    tensor = by_name(found)[MATRIX]
    assert (tensor.quant_type, tensor.group_size, tensor.scale_type, tensor.error) == ("fp32", None, "", None)
    assert (tensor.shape, tensor.role) == ((24, 40), "linear")


def test_true_bits_count_all_that_is_stored(model, embedder, tmp_path):
    quantised(model, embedder, tmp_path / "q", quant_type="int4")
    found = explain(tmp_path / "q")
    with open_weights(tmp_path / "q") as source:
        for tensor in found.tensors:
            stored = sum(
                buffer.nbytes for buffer in source.tensor(tensor.name).buffers() if buffer is not None
            )
            assert tensor.bytes == stored
            assert tensor.bits_per_weight == pytest.approx(8 * stored / np.prod(tensor.shape))
    matrix, table = by_name(found)[MATRIX], by_name(found)[TABLE]
    assert (matrix.quant_type, matrix.group_size, matrix.scale_type) == ("int4", 32, "fp16")
    assert (matrix.zero_points, matrix.layout, matrix.activation) == (True, "n16k8", "int8")
    assert (table.quant_type, table.group_size, table.scale_type) == ("int8", 0, "fp32")
    assert (table.zero_points, table.layout, table.role) == (False, "row", "table")


def test_totals_with_and_without_tables_are_those_of_the_report(model, embedder, tmp_path):
    report = quantised(model, embedder, tmp_path / "q")
    found = explain(tmp_path / "q")
    assert found.total.bytes == report.bytes == sum(tensor.bytes for tensor in found.tensors)
    assert found.total.bits_per_weight == pytest.approx(report.bits_per_weight)
    assert found.without_tables.bits_per_weight == pytest.approx(report.bits_per_weight_without_tables)
    assert (found.total.tensors, found.without_tables.tensors) == (7, 5)
    assert {tensor.name: tensor.error for tensor in found.tensors if tensor.error} == report.tensors
    assert by_name(found)["encoder.layer.0.output.dense.bias"].error == 0


def test_a_language_model_has_a_head_beside_its_embeddings_and_its_decoder(tmp_path):
    shapes = {
        "model.embed_tokens.weight": (100, 32),
        "lm_head.weight": (100, 32),
        "model.layers.0.mlp.up_proj.weight": (64, 32),
        "model.layers.0.mlp.down_proj.weight": (32, 64),
        "model.norm.weight": (32,),
    }
    tensors = (float_tensor(name, np.ones(shape, np.float32)) for name, shape in shapes.items())
    write_weights(tmp_path / "weights.arrow", tensors, {})
    found = explain(tmp_path / "weights.arrow")
    weights = {part: total.weights for part, total in found.parts.items()}
    assert weights == {"embeddings": 3200, "head": 3200, "matrices": 4096, "vectors": 32}
    assert found.without_tables.weights == 4128
    assert sum(total.bytes for total in found.parts.values()) == found.total.bytes


def test_the_certificate_is_that_of_the_check(model, embedder, tmp_path):
    report = quantised(model, embedder, tmp_path / "q", seed=4)
    found = explain(tmp_path / "q").certificate
    assert (found.verdict, found.method, found.seed) == ("passed", "ptq", 4)
    assert found.figures == report.figures
    assert found.thresholds == LOW
    assert found.is_of_these_weights
    with open_weights(model) as original:
        assert found.reference == original.fingerprint


def test_a_report_of_other_weights_is_told(model, embedder, tmp_path):
    quantised(model, embedder, tmp_path / "a")
    quantised(model, embedder, tmp_path / "b", symmetric=True)
    with open_weights(tmp_path / "a") as source:
        rewrite_documents(tmp_path / "b" / "weights.arrow", {"precision": source.precision})
    assert explain(tmp_path / "a").certificate.is_of_these_weights
    assert not explain(tmp_path / "b").certificate.is_of_these_weights


def test_other_kinds_of_files_tell_the_same(model, embedder, tmp_path):
    quantised(model, embedder, tmp_path / "q", quant_type="int4")
    convert_model(tmp_path / "q", tmp_path / "parquet", formats=["parquet-v2"])
    native, parquet = explain(tmp_path / "q"), explain(tmp_path / "parquet" / "weights.parquet")
    assert by_name(parquet) == by_name(native)
    assert parquet.total == native.total
    assert parquet.certificate == native.certificate


def test_it_is_json(model, embedder, tmp_path):
    quantised(model, embedder, tmp_path / "q")
    found = json.loads(json.dumps(explain(tmp_path / "q").to_dict(), allow_nan=False))
    assert found["tensors"][0]["shape"]
    assert found["certificate"]["verdict"] == "passed"


@pytest.mark.parametrize(
    "changed", [{"seed": "x"}, {"cosine_mean": float("nan")}, {"tensors": {"a": 10**400}}]
)
def test_a_damaged_report_is_an_error(model, embedder, tmp_path, changed):
    report = quantised(model, embedder, tmp_path / "q")
    rewrite_documents(tmp_path / "q" / "weights.arrow", {"precision": {**report.to_dict(), **changed}})
    with pytest.raises(WeightError, match=r"weights.arrow: the precision report holds"):
        explain(tmp_path / "q")


def test_what_is_no_model_is_an_error(tmp_path):
    with pytest.raises(WeightError):
        explain(tmp_path)
