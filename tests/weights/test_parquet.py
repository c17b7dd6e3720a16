"""Parquet V1 and V2: the version is detected, foreign files are read, hostile ones refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights import ParquetWeights, convert_model, open_weights

V1 = pa.schema(
    [
        ("layer_name", pa.string()),
        ("weight_name", pa.string()),
        ("weight_data", pa.list_(pa.float16())),
        ("shape", pa.list_(pa.int32())),
    ]
)
V2 = pa.schema(
    [
        ("layer_name", pa.string()),
        ("weight_name", pa.string()),
        ("weight_data", pa.list_(pa.int8())),
        ("shape", pa.list_(pa.int32())),
        ("quant_type", pa.string()),
        ("scales", pa.list_(pa.float32())),
        ("zero_points", pa.list_(pa.int8())),
        ("quant_axis", pa.int32()),
    ]
)


def v1_row(**changes):
    row = {
        "layer_name": "a.dense",
        "weight_name": "weight",
        "weight_data": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "shape": [2, 3],
    }
    return {**row, **changes}


def v2_row(**changes):
    row = {
        **v1_row(weight_data=[1, -2, 3, 4, 5, 127]),
        "quant_type": "int8",
        "scales": [0.5, 0.25],
        "zero_points": [1, -3],
        "quant_axis": 0,
    }
    return {**row, **changes}


def write(path, schema, *rows, **options):
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, **options)
    return path


def read_all(path):
    with ParquetWeights.open(path) as weights:
        return {name: weights.tensor(name).to_float32() for name in weights.names()}


def test_v1_from_elsewhere(tmp_path):
    path = write(
        tmp_path / "w", V1, v1_row(), v1_row(layer_name="", weight_name="scale", weight_data=[7], shape=[])
    )
    with open_weights(path) as weights:
        assert weights.kind == "parquet-v1"
        assert weights.spec("a.dense.weight").quant_type == "fp16"
        assert np.array_equal(weights.tensor("a.dense.weight").to_float32(), [[1, 2, 3], [4, 5, 6]])
        assert weights.tensor("scale").to_float32() == 7


@pytest.mark.parametrize("axis", [0, -1])
def test_v2_from_elsewhere(axis, tmp_path):
    changes = {"scales": [0.5], "zero_points": [1], "quant_axis": -1} if axis == -1 else {}
    half = np.array([1.5, -2.5], "<f2").view(np.int8).tolist()
    bias = v2_row(
        weight_name="bias",
        shape=[2],
        weight_data=half,
        quant_type="fp16",
        scales=[],
        zero_points=[],
        quant_axis=-1,
    )
    path = write(tmp_path / "w", V2, v2_row(**changes), bias)
    with open_weights(path) as weights:
        assert weights.kind == "parquet-v2"
        tensor = weights.tensor("a.dense.weight")
        assert tensor.spec.activation == "int16"
        assert tensor.spec.quant_axis == axis
        codes = np.array([[1, -2, 3], [4, 5, 127]])
        scales, zeros = ([[0.5], [0.25]], [[1], [-3]]) if axis == 0 else ([[0.5]], [[1]])
        assert np.array_equal(tensor.to_float32(), (codes - zeros) * np.array(scales))
        assert np.array_equal(weights.tensor("a.dense.bias").to_float32(), [1.5, -2.5])


def test_large_lists_and_strings(tmp_path):
    schema = pa.schema(
        [
            ("layer_name", pa.large_string()),
            ("weight_name", pa.large_string()),
            ("weight_data", pa.large_list(pa.float32())),
            ("shape", pa.large_list(pa.int32())),
        ]
    )
    assert read_all(write(tmp_path / "w", schema, v1_row()))["a.dense.weight"].shape == (2, 3)


def test_a_single_row_group_is_read_once(tmp_path, monkeypatch):
    rows = [v1_row(layer_name=f"layer{i}") for i in range(20)]
    path = write(tmp_path / "w", V1, *rows)
    with ParquetWeights.open(path) as weights:
        calls = []
        original = weights._read
        monkeypatch.setattr(weights, "_read", lambda *a: calls.append(a) or original(*a))
        for name in weights.names():
            weights.tensor(name)
        assert len(calls) == 1


def test_our_files_have_a_row_group_per_tensor(source, tensors, tmp_path):
    convert_model(source, tmp_path / "out", formats=["parquet-v2"])
    file = pq.ParquetFile(tmp_path / "out" / "weights.parquet")
    assert file.num_row_groups == len(tensors)
    assert file.schema_arrow.names[:4] == ["layer_name", "weight_name", "weight_data", "shape"]
    assert file.schema_arrow.names[4:8] == ["quant_type", "scales", "zero_points", "quant_axis"]


LIES = {
    "shape and data": (V1, v1_row(shape=[2, 4]), "holds 6 values"),
    "negative shape": (V1, v1_row(shape=[-2, -3]), "dimension below 1"),
    "overflow": (V1, v1_row(shape=[2**31 - 1] * 5), "holds 6 values"),
    "no shape": (V1, v1_row(shape=None), "lacks a name or a shape"),
    "null in shape": (V1, v1_row(shape=[2, None]), "lacks a name or a shape"),
    "no name": (V1, v1_row(weight_name=None), "lacks a name or a shape"),
    "no data": (V1, v1_row(weight_data=None), "lacks values"),
    "null in data": (V1, v1_row(weight_data=[1, 2, 3, 4, 5, None]), "lacks values"),
    "NaN": (V1, v1_row(weight_data=[float("nan")] * 6), "NaN or infinity"),
    "type": (V2, v2_row(quant_type="int3"), "quant_type 'int3' is unknown"),
    "no type": (V2, v2_row(quant_type=None), "quant_type '' is unknown"),
    "axis": (V2, v2_row(quant_axis=1), "quant_axis 1"),
    "no axis": (V2, v2_row(quant_axis=None), "quant_axis None"),
    "few scales": (V2, v2_row(scales=[1.0]), "has 1 scales"),
    "no scales": (V2, v2_row(scales=None), "lacks values in scales"),
    "NaN scale": (V2, v2_row(scales=[float("nan"), 1]), "not a finite"),
    "many zeros": (V2, v2_row(zero_points=[1, 2, 3]), "3 zeros"),
    "bytes of a float": (V2, v2_row(quant_type="fp32"), "holds 6 values, .* needs 24"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_one_clear_error(lie, tmp_path):
    schema, row, message = LIES[lie]
    with pytest.raises(WeightError, match=message):
        read_all(write(tmp_path / "w", schema, row))


def test_the_same_tensor_twice(tmp_path):
    with pytest.raises(IntegrityError, match="more than once"):
        read_all(write(tmp_path / "w", V1, v1_row(), v1_row()))


@pytest.mark.parametrize(
    "change", [("shape", pa.string()), ("weight_data", pa.float32()), ("weight_name", None)]
)
def test_another_schema(change, tmp_path):
    name, kind = change
    fields = [(f.name, f.type if f.name != name else kind) for f in V1 if f.name != name or kind is not None]
    pq.write_table(pa.schema(fields).empty_table(), tmp_path / "w")
    with pytest.raises(WeightError, match=f"not a weight file of schema V1: column {name}"):
        read_all(tmp_path / "w")


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    path = write(
        tmp_path / "w", V1, v1_row(weight_data=[0.0] * 4_000_000, shape=[2, 3]), use_dictionary=False
    )
    assert path.stat().st_size < 1_000_000
    with pytest.raises(IntegrityError, match="would unpack to"):
        read_all(path)


def test_damaged_files(source, tmp_path):
    convert_model(source, tmp_path / "out", formats=["parquet-v2"])
    path = tmp_path / "out" / "weights.parquet"
    data, expected = path.read_bytes(), read_all(path)
    random = np.random.default_rng(13)
    found = 0
    for position in random.integers(0, len(data), 120):
        damaged = bytearray(data)
        damaged[position] ^= 1 << random.integers(8)
        path.write_bytes(bytes(damaged))
        try:
            values = read_all(path)
            # Footers have no checksum: a flip there may rename a tensor; values behind page checksums hold.
            assert all(
                np.array_equal(values[name], expected[name])
                for name in values.keys() & expected.keys()
                if values[name].shape == expected[name].shape
            )
        except WeightError:
            found += 1
    assert found > 60
    for size in range(0, len(data), 4001):
        path.write_bytes(data[:size])
        with pytest.raises(WeightError):
            read_all(path)
