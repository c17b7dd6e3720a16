"""Hugging Face folders: what is read, what is refused, and how it is said."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from arrowmind import _native
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights import HuggingFaceModel, convert_model, open_weights
from arrowmind.weights import documents as json_files


def write_raw(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def one(dtype, shape, size, begin=0, name="a.weight"):
    return {name: {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + size]}}


def test_sharded_weights(source, tensors):
    names = sorted(tensors)
    parts = {"part-1.safetensors": names[:5], "part-2.safetensors": names[5:]}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, source / file)
    (source / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    index_path = source / "model.safetensors.index.json"
    index_path.write_text(json.dumps(index))
    with HuggingFaceModel.open(source) as model:
        assert set(model.names()) == set(tensors)
        assert len(model.paths) == 2
        for name, values in tensors.items():
            assert np.array_equal(model.tensor(name).to_float32(), values)
    index["weight_map"]["ghost.weight"] = "part-1.safetensors"
    index_path.write_text(json.dumps(index))
    with pytest.raises(IntegrityError, match=r"no file holds tensor 'ghost.weight'"):
        HuggingFaceModel.open(source)
    save_file({names[0]: tensors[names[0]], names[7]: tensors[names[7]]}, source / "part-2.safetensors")
    with pytest.raises(IntegrityError, match="is also in"):
        HuggingFaceModel.open(source)
    (source / "part-2.safetensors").unlink()
    with pytest.raises(WeightError, match=r"part-2.safetensors is missing"):
        HuggingFaceModel.open(source)


@pytest.mark.parametrize(
    "index",
    [
        "{}",
        "[]",
        '{"weight_map": []}',
        '{"weight_map": {}}',
        '{"weight_map": {"a": "../../x"}}',
        '{"weight_map": {"a": 3}}',
    ],
)
def test_hostile_indexes(index, source):
    (source / "model.safetensors.index.json").write_text(index)
    with pytest.raises(WeightError, match=r"weight_map|object|plain names"):
        HuggingFaceModel.open(source)


HEADERS = {
    "beyond the end": (one("F32", [4], 16), b"1234"),
    "size and shape differ": (one("F32", [4], 12), bytes(12)),
    "overflow": (one("F32", [2**62, 2**62], 16), bytes(16)),
    "gap": (one("F32", [1], 4, 8), bytes(12)),
    "trailing": (one("F32", [1], 4), bytes(8)),
    "unknown type": (one("Q7", [1], 4), bytes(4)),
    "not JSON": (b"{", b""),
    "negative": (b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', bytes(4)),
}


@pytest.mark.parametrize("case", HEADERS)
def test_lying_headers(case, source):
    write_raw(source / "model.safetensors", *HEADERS[case])
    with pytest.raises(IntegrityError, match=r"model.safetensors.*again"):
        HuggingFaceModel.open(source)


@pytest.mark.parametrize("data", [b"", b"1234", struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 2**63)])
def test_files_that_are_no_safetensors(data, source):
    (source / "model.safetensors").write_bytes(data)
    with pytest.raises(IntegrityError):
        HuggingFaceModel.open(source)


@pytest.mark.parametrize("name", ["a.weight", "a.embeddings.weight"])
def test_matrices_of_bfloat16_stay_what_they_are(name, source, tmp_path):
    values = np.array([1.0, -2.5, 3.140625, 0.0, 2.0**-126, 1e38], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    write_raw(source / "model.safetensors", one("BF16", [2, 3], 12, name=name), bits.tobytes())
    assert convert_model(source, tmp_path / "out", formats=["native", "safetensors", "parquet-v2"]).lossless
    sources = [source, tmp_path / "out", tmp_path / "out" / "weights.parquet"]
    for path in sources:
        with open_weights(path) as model:
            assert model.spec(name).quant_type == "bf16"
            assert np.array_equal(model.tensor(name).values(), bits.reshape(2, 3))
            assert np.array_equal(model.tensor(name).to_float32(), exact.reshape(2, 3))
    written = _native.SafetensorsFile.open(os.fsencode(tmp_path / "out" / "model.safetensors"))
    assert written.dtype(name) == "BF16"
    assert written.tensor(name).tobytes() == bits.tobytes()


def test_vectors_of_bfloat16_become_float32_exactly(source, tmp_path):
    bits = np.array([0x3F80, 0xC020], np.uint16)
    write_raw(source / "model.safetensors", one("BF16", [2], 4, name="a.bias"), bits.tobytes())
    with HuggingFaceModel.open(source) as model:
        assert model.spec("a.bias").quant_type == "fp32"
        assert model.tensor("a.bias").values().tolist() == [1.0, -2.5]
    assert convert_model(source, tmp_path / "out").lossless


@pytest.mark.parametrize("bits", [0x7F80, 0xFF80, 0x7FC0])
def test_bfloat16_that_is_no_number_is_refused(bits, source, tmp_path):
    write_raw(source / "model.safetensors", one("BF16", [1, 1], 2), struct.pack("<H", bits))
    with pytest.raises(WeightError, match=r"'a.weight': holds NaN or infinity"):
        convert_model(source, tmp_path / "out")


def test_integer_buffers_are_left_out(source, tensors, capsys):
    save_file({**tensors, "embeddings.position_ids": np.arange(20)[None]}, source / "model.safetensors")
    with HuggingFaceModel.open(source) as model:
        assert set(model.names()) == set(tensors)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1.0, np.nan], np.float32), "'x.bias': holds NaN or infinity"),
        (np.array([1.0, np.inf], np.float16), "'x.bias': holds NaN or infinity"),
        (np.array([1.0, 2.0], np.float64), "'x.bias' has type F64; F32, F16 and BF16"),
        (np.array([1, 2], np.int8), "'x.bias' has type I8"),
    ],
)
def test_values_that_cannot_be_converted(values, message, source, tensors, tmp_path):
    save_file({**tensors, "x.bias": values}, source / "model.safetensors")
    with pytest.raises(WeightError, match=message):
        convert_model(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_pickled_weights(source):
    (source / "model.safetensors").unlink()
    (source / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(WeightError, match="never read"):
        HuggingFaceModel.open(source)
    with pytest.raises(WeightError, match="is not a folder"):
        HuggingFaceModel.open(source / "nowhere")


def pooling(source, modes, modules=("Transformer", "Pooling", "Normalize"), path="1_Pooling"):
    prefix = "sentence_transformers.models."
    entries = [{"type": prefix + name, "path": path if name == "Pooling" else ""} for name in modules]
    (source / "modules.json").write_text(json.dumps(entries))
    (source / "1_Pooling").mkdir(exist_ok=True)
    (source / "1_Pooling" / "config.json").write_text(json.dumps(modes))


def test_sentence_transformers_settings(source):
    pooling(source, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    (source / "sentence_bert_config.json").write_text('{"max_seq_length": 12}')
    with HuggingFaceModel.open(source) as model:
        assert model.model["arrowmind"] == {"pooling": "cls", "normalize": True, "max_tokens": 12}
    pooling(source, {"pooling_mode": "mean"}, modules=("Transformer", "Pooling"))
    with HuggingFaceModel.open(source) as model:
        assert model.model["arrowmind"] == {"pooling": "mean", "normalize": False, "max_tokens": 12}


@pytest.mark.parametrize(
    ("modes", "options", "message"),
    [
        (
            {"pooling_mode_max_tokens": True},
            {},
            r"pooling \['max_tokens'\] cannot be converted; use one of mean",
        ),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, {}, "cannot be converted"),
        ({}, {}, "cannot be converted"),
        ({"pooling_mode": "mean"}, {"modules": ("Transformer", "Dense")}, "step Dense cannot be converted"),
        ({"pooling_mode": "mean"}, {"path": "../elsewhere"}, "leaves the folder"),
        ({"pooling_mode": "mean"}, {"path": "/etc"}, "leaves the folder"),
    ],
)
def test_steps_that_cannot_be_converted(modes, options, message, source):
    pooling(source, modes, **options)
    with pytest.raises(WeightError, match=message):
        HuggingFaceModel.open(source)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 200_000, "\xff"])
@pytest.mark.parametrize("name", ["config.json", "modules.json"])
def test_hostile_json(name, text, source):
    (source / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(WeightError, match=name):
        HuggingFaceModel.open(source)


def test_json_is_read_within_bounds(source, monkeypatch):
    monkeypatch.setattr(json_files, "MAX_JSON_BYTES", 10)
    with pytest.raises(WeightError, match=r"config.json is larger than 10 bytes"):
        HuggingFaceModel.open(source)
