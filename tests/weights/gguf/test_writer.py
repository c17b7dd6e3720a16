"""Models written as GGUF: read again by us, and by the gguf package, they are the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.interchange.forge import write_gguf as forge_gguf
from tests.weights.gguf.conftest import TOKENIZER
from tests.weights.gguf.test_tokenizer import BYTE_LEVEL, TEXTS
from tokenizers import Tokenizer

from arrowmind import _native
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.weights import GgufModel, convert_model, open_weights
from arrowmind.weights.gguf.architectures import ARCHITECTURES
from arrowmind.weights.gguf.encoding import Entries, encode_head
from arrowmind.weights.gguf.metadata import GgufMetadata
from arrowmind.weights.gguf.tokenizer import read_tokenizer
from arrowmind.weights.gguf.tokenizer_export import write_tokenizer


@pytest.mark.parametrize("kind", ["F32", "F16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_round_trip_gives_the_same_bytes(architecture, kind, make_gguf, tmp_path):
    path = make_gguf(
        architecture, kind, tensors={} if architecture == "bert" else {"output.weight": (24, 32)}
    )
    convert_model(path, tmp_path / "native")
    convert_model(tmp_path / "native", tmp_path / "out", formats=["gguf"])
    one, two = (_native.GgufFile.open(bytes(p)) for p in (path, tmp_path / "out" / "model.gguf"))
    assert sorted(one.names()) == sorted(two.names())
    for name in one.names():
        if "position_embd" not in name and "token_types" not in name:  # tables of floats
            assert two.dtype(name) == one.dtype(name)
        if architecture == "gemma" and name.endswith("norm.weight"):
            assert np.allclose(one.decode(name), two.decode(name), rtol=0, atol=2**-22)
        else:
            assert np.array_equal(one.decode(name), two.decode(name))
    before, after = one.metadata(), two.metadata()
    for key in before:
        if not key.startswith("tokenizer.ggml.scores"):
            assert np.array_equal(before[key], after[key]), key
    with GgufModel.open(path) as first, GgufModel.open(tmp_path / "out" / "model.gguf") as second:
        theirs = second.model
        assert (
            first.model == {**theirs, "rope_theta": theirs["rope_theta"]}
            if "rope_theta" in theirs
            else theirs
        )
        if architecture != "gemma":
            assert first.fingerprint == second.fingerprint or architecture == "bert"


@pytest.mark.parametrize("through", ["native", "parquet-v2"])
@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "MXFP4"])
@pytest.mark.parametrize("architecture", ["llama", "bert"])
def test_codes_come_back_as_the_same_bytes(architecture, kind, through, make_gguf, tmp_path):
    path = make_gguf(
        architecture, kind, tensors={} if architecture == "bert" else {"output.weight": (24, 32)}
    )
    report = convert_model(path, tmp_path / "ours", formats=[through])
    assert report.lossless
    convert_model(tmp_path / "ours", tmp_path / "out", formats=["gguf"])
    one, two = (_native.GgufFile.open(bytes(p)) for p in (path, tmp_path / "out" / "model.gguf"))
    with open_weights(tmp_path / "ours") as weights:
        names = {"Q8_0": "int8", "Q4_0": "int4", "MXFP4": "fp4"}
        kinds = {
            weights.spec(name).quant_type for name in weights.names() if len(weights.spec(name).shape) == 2
        }
        assert kinds == {names[kind]}
    for name in one.names():
        if "position_embd" in name or "token_types" in name:
            assert np.array_equal(one.decode(name), two.decode(name))
        else:
            assert two.dtype(name) == one.dtype(name)
            assert two.tensor(name).tobytes() == one.tensor(name).tobytes()


def test_rotation_and_reported_progress(make_gguf, tmp_path):
    metadata = {
        "llama.rope.scaling.type": "yarn",
        "llama.rope.scaling.factor": 2.0,
        "llama.rope.scaling.original_context_length": 64,
        "llama.attention.key_length": 8,
    }
    path = make_gguf("llama", metadata=metadata, tensors={"rope_freqs.weight": (4,)})
    seen = []
    convert_model(
        path,
        tmp_path / "out",
        formats=["gguf"],
        progress=lambda done, total, what: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1] > 0
    one, two = (_native.GgufFile.open(bytes(p)) for p in (path, tmp_path / "out" / "model.gguf"))
    assert np.array_equal(one.decode("rope_freqs.weight"), two.decode("rope_freqs.weight"))
    assert metadata.items() <= two.metadata().items()


def test_codes_as_floats(make_gguf, tmp_path):
    path = make_gguf("llama", "Q4_0")
    convert_model(path, tmp_path / "floats", formats=["safetensors"])
    with GgufModel.open(path) as one, open_weights(tmp_path / "floats") as two:
        for name in one.names():
            assert np.array_equal(one.tensor(name).to_float32(), two.tensor(name).to_float32())


@pytest.mark.parametrize(
    ("name", "matrix", "table", "narrow"),
    [
        ("gguf-f16", "F16", "F16", "F16"),
        ("gguf-q8_0", "Q8_0", "Q8_0", "F16"),
        ("gguf-q4_0", "Q4_0", "Q8_0", "F16"),
    ],
)
def test_types_of_matrices(name, matrix, table, narrow, make_gguf, tmp_path):
    more = {"output.weight": (24, 32), "blk.0.ffn_down.weight": (32, 48)}
    convert_model(make_gguf("llama", tensors=more), tmp_path / "out", formats=[name])
    file = _native.GgufFile.open(bytes(tmp_path / "out" / "model.gguf"))
    assert file.dtype("blk.0.attn_q.weight") == matrix
    assert file.dtype("token_embd.weight") == file.dtype("output.weight") == table
    assert file.dtype("blk.0.ffn_down.weight") == narrow
    assert file.dtype("output_norm.weight") == "F32"


def test_the_gguf_package_reads_what_is_written(make_gguf, tmp_path):
    gguf = pytest.importorskip("gguf", reason="pip install gguf")
    path = make_gguf("llama", metadata={"tokenizer.chat_template": "{{ x }}"})
    original = _native.GgufFile.open(bytes(path))
    for name in ("gguf", "gguf-f16", "gguf-q8_0", "gguf-q4_0"):
        convert_model(path, tmp_path / name, formats=[name])
        place = tmp_path / name / "model.gguf"
        ours = _native.GgufFile.open(bytes(place))
        reader = gguf.GGUFReader(place)
        assert len(reader.tensors) == len(original.names())
        for tensor in reader.tensors:
            assert tuple(reversed(tensor.shape.tolist())) == original.shape(tensor.name)
            theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            assert np.array_equal(theirs.reshape(-1), ours.decode(tensor.name).reshape(-1))
            largest = np.abs(original.decode(tensor.name)).max()
            assert np.abs(ours.decode(tensor.name) - original.decode(tensor.name)).max() <= largest / 7.9
        assert reader.fields["general.architecture"].contents() == "llama"
        assert reader.fields["tokenizer.chat_template"].contents() == "{{ x }}"
        assert reader.fields["tokenizer.ggml.tokens"].contents()[:3] == ["<unk>", "<s>", "</s>"]


def test_a_real_encoder_travels(minilm_source, tmp_path):
    convert_model(minilm_source, tmp_path / "out", formats=["gguf"])
    convert_model(tmp_path / "out", tmp_path / "back")
    with open_weights(minilm_source) as one, open_weights(tmp_path / "back") as two:
        assert set(one.names()) - set(two.names()) == {"pooler.dense.weight", "pooler.dense.bias"}
        for name in two.names():
            assert np.array_equal(one.tensor(name).to_float32(), two.tensor(name).to_float32())
        assert two.model["arrowmind"]["pooling"] == one.model["arrowmind"]["pooling"]
        assert two.model["hidden_size"] == 384
    original = Tokenizer.from_file(str(minilm_source / "tokenizer.json"))
    original.no_padding()
    original.no_truncation()
    found = Tokenizer.from_file(str(tmp_path / "back" / "tokenizer.json"))
    for text in TEXTS:
        assert found.encode(text).ids == original.encode(text).ids


def again(metadata, config, tmp_path):
    """A tokenizer from metadata, written as metadata, and read from those."""
    document = json.loads(read_tokenizer(metadata))
    entries = Entries()
    write_tokenizer(entries, document, config)
    (tmp_path / "a.gguf").write_bytes(encode_head(entries, []))
    values = _native.GgufFile.open(bytes(tmp_path / "a.gguf")).metadata()
    return document, json.loads(read_tokenizer(GgufMetadata(values, "a.gguf")))


@pytest.mark.parametrize("values", [TOKENIZER, BYTE_LEVEL], ids=["llama", "gpt2"])
def test_tokenizers_survive(values, tmp_path):
    raw = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in values.items()}
    (tmp_path / "b.gguf").write_bytes(forge_gguf(raw, {}))
    metadata = GgufMetadata(_native.GgufFile.open(bytes(tmp_path / "b.gguf")).metadata(), "b.gguf")
    config = {"bos_token_id": 1, "eos_token_id": [2, 3]}
    before, after = again(metadata, config, tmp_path)
    assert after == before


@pytest.mark.parametrize("name", ["stories260K/stories260K.gguf", "gguf-vocab/ggml-vocab-gpt-2.gguf"])
def test_real_tokenizers_survive(name, shared_data, tmp_path):
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"no {path}")
    metadata = GgufMetadata(_native.GgufFile.open(bytes(path)).metadata(), path)
    before, after = again(metadata, {}, tmp_path)
    assert after["model"]["vocab"] == before["model"]["vocab"]
    assert after["model"]["merges"] == before["model"]["merges"]
    assert after == before


def test_rows_that_no_token_has_are_unused(tmp_path):
    entries = Entries()
    document = {
        "model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##b": 3}, "unk_token": "[UNK]"},
        "added_tokens": [{"id": 0, "content": "[UNK]", "special": True}],
    }
    write_tokenizer(entries, document, {"vocab_size": 6})
    (tmp_path / "a").write_bytes(encode_head(entries, []))
    found = _native.GgufFile.open(bytes(tmp_path / "a")).metadata()
    assert found["tokenizer.ggml.tokens"] == ["[UNK]", "\u2581a", "[PAD2]", "b", "[PAD4]", "[PAD5]"]
    assert found["tokenizer.ggml.token_type"].tolist() == [3, 1, 5, 1, 5, 5]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "is damaged: KeyError"),
        ({"model": []}, "is damaged"),
        ({"model": {"type": "Unigram", "vocab": []}}, "'Unigram' of this kind has no form"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": []}}, "'BPE' of this kind has no form"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 1 << 40}}}, "it is damaged"),
        ({"model": {"type": "WordPiece", "vocab": {"a": "x"}}}, "is damaged"),
        (
            {
                "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
                "pre_tokenizer": {
                    "pretokenizers": [
                        {"type": "Split", "pattern": {"Regex": "x"}},
                        {"type": "ByteLevel"},
                    ]
                },
            },
            "no name in GGUF that we know",
        ),
    ],
)
def test_tokenizers_that_have_no_form(document, message):
    with pytest.raises(WeightError, match=message):
        write_tokenizer(Entries(), document, {})


def test_models_that_have_no_form(source, make_gguf, tmp_path):
    with pytest.raises(WeightError, match="GGUF has no name for tensor 'logit_scale'"):
        convert_model(source, tmp_path / "out", formats=["gguf"])
    convert_model(make_gguf(), tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    for change, message in [
        ({"model_type": "t5"}, "'t5' cannot be written as GGUF; llama, qwen2"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rope_scaling 'llama3' cannot be written"),
        ({"num_attention_heads": None}, "num_attention_heads is None"),
        ({"num_attention_heads": 5}, "not those of 5 heads"),
    ]:
        (tmp_path / "model" / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(WeightError, match=message):
            convert_model(tmp_path / "model", tmp_path / "out", formats=["gguf"])
        assert not (tmp_path / "out").exists()


def test_one_form_at_a_time(make_gguf, tmp_path):
    with pytest.raises(InvalidArgumentError, match="share a file name"):
        convert_model(make_gguf(), tmp_path / "out", formats=["gguf", "gguf-f16"])


def test_values_that_are_too_large(make_gguf, tmp_path):
    path = make_gguf("qwen2")
    data = bytearray(path.read_bytes())
    at = _native.GgufFile.open(bytes(path)).offset("blk.0.attn_v.weight")
    data[at : at + 4] = np.array([1e30], np.float32).tobytes()
    path.write_bytes(data)
    with pytest.raises(WeightError, match=r"v_proj.weight': a value is too large for F16"):
        convert_model(path, tmp_path / "out", formats=["gguf-f16"])
    assert not (tmp_path / "out").exists()
