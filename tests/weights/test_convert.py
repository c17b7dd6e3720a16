"""Conversion in every direction keeps every bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.weights import convert_model, open_weights, verify_model

CHAINS = [
    ["native"],
    ["native", "parquet-v1", "native"],
    ["native", "parquet-v2", "native"],
    ["native", "safetensors", "native"],
    ["parquet-v1", "parquet-v2", "safetensors", "parquet-v1", "native"],
]


@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
def test_chain_of_conversions_is_lossless(chain, source, tensors, tmp_path):
    place = source
    for step, name in enumerate(chain):
        report = convert_model(place, tmp_path / f"step{step}", formats=[name])
        assert report.lossless
        assert report.tensors == len(tensors)
        place = tmp_path / f"step{step}"
    with open_weights(place) as weights, open_weights(source) as original:
        assert weights.fingerprint == original.fingerprint
        assert set(weights.names()) == set(tensors)
        for name, values in tensors.items():
            assert np.array_equal(weights.tensor(name).to_float32(), values)


def test_native_file_is_the_same_bytes_after_a_round_trip(source, tmp_path):
    convert_model(source, tmp_path / "a")
    convert_model(tmp_path / "a", tmp_path / "b", formats=["parquet-v2"])
    convert_model(tmp_path / "b", tmp_path / "c")
    first, last = (tmp_path / name / "weights.arrow" for name in "ac")
    assert first.read_bytes() == last.read_bytes()


@pytest.mark.parametrize("kind", ["native", "parquet-v1", "parquet-v2"])
def test_half_precision(kind, source, tensors, tmp_path):
    report = convert_model(source, tmp_path / "half", formats=[kind], quant_type="fp16")
    assert not report.lossless
    assert 0 < report.largest_error <= 2**-11
    with open_weights(tmp_path / "half") as weights:
        for name, values in tensors.items():
            assert weights.spec(name).quant_type == "fp16"
            assert np.array_equal(weights.tensor(name).to_float32(), values.astype(np.float16))


def test_chat_template_and_what_belongs_to_it_are_kept(source, tmp_path):
    (source / "generation_config.json").write_text('{"eos_token_id": [2, 3]}')
    (source / "tokenizer_config.json").write_text('{"bos_token": "<s>"}')
    convert_model(source, tmp_path / "without")
    assert (tmp_path / "without" / "generation_config.json").read_text() == '{"eos_token_id": [2, 3]}'
    assert not (tmp_path / "without" / "tokenizer_config.json").exists()
    (source / "chat_template.jinja").write_text("{{ bos_token }}")
    convert_model(source, tmp_path / "with")
    convert_model(tmp_path / "with", tmp_path / "again")
    for name in ("chat_template.jinja", "tokenizer_config.json", "generation_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (source / name).read_bytes()
    verify_model(tmp_path / "again")


def test_folder_holds_configuration_tokenizer_and_manifest(source, tmp_path):
    convert_model(source, tmp_path / "out", formats=["native", "parquet-v2"])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"weights.arrow", "weights.parquet", "config.json", "tokenizer.json", "manifest.json"}
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["hidden_size"] == 22
    assert config["arrowmind"] == {"pooling": "mean", "normalize": False, "max_tokens": 20}
    with open_weights(tmp_path / "out") as weights:
        assert weights.kind == "native"
        assert weights.model == config
    assert verify_model(tmp_path / "out").ok


def test_an_existing_folder_is_refused_unless_forced(source, tmp_path):
    convert_model(source, tmp_path / "out", formats=["parquet-v1"])
    with pytest.raises(WeightError, match="exists; choose another name"):
        convert_model(source, tmp_path / "out")
    convert_model(source, tmp_path / "out", force=True)
    assert not (tmp_path / "out" / "weights.parquet").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["original", "out"]


def test_arguments_are_checked(source, tmp_path):
    with pytest.raises(InvalidArgumentError, match="choose from native"):
        convert_model(source, tmp_path / "out", formats=["onnx"])
    with pytest.raises(InvalidArgumentError, match="share a file name"):
        convert_model(source, tmp_path / "out", formats=["parquet-v1", "parquet-v2"])
    with pytest.raises(InvalidArgumentError, match="not fp32 or fp16"):
        convert_model(source, tmp_path / "out", quant_type="int8")


def test_progress_reaches_the_total(source, tmp_path):
    seen = []
    convert_model(
        source, tmp_path / "out", progress=lambda done, total, what: seen.append((done, total, what))
    )
    assert seen[-1][0] == seen[-1][1] > 0
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named_and_nothing_is_left(name, source, tmp_path):
    (source / name).unlink()
    with pytest.raises(WeightError, match=r"missing|holds no weights"):
        convert_model(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_safetensors_are_read_by_their_own_library(source, tensors, tmp_path):
    library = pytest.importorskip("safetensors", reason="pip install safetensors")
    convert_model(source, tmp_path / "out", formats=["safetensors"])
    with library.safe_open(tmp_path / "out" / "model.safetensors", framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert set(file.keys()) == set(tensors)
        for name, values in tensors.items():
            assert file.get_tensor(name).tobytes() == values.tobytes()
