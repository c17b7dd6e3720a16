"""GGUF models under Hugging Face names: what is read, what is refused, and how it is said."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tests.reference import gguf as blocks
from tests.reference import llama
from tokenizers import Tokenizer

from arrowmind import ArrowEngine, _native
from arrowmind.errors import IntegrityError, WeightError
from arrowmind.weights import GgufModel, convert_model, open_weights, verify_model
from arrowmind.weights.gguf.architectures import ARCHITECTURES
from arrowmind.weights.gguf.tensor_names import to_gguf, to_model

STORY = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, "
    "she saw a big dog. The dog was very happy. Lily and the dog played all day. Then her mom said it was "
    "time to go home."
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_names_go_both_ways(name):
    one = ARCHITECTURES[name]
    for ours, theirs in one.tensors.items():
        for number in ("0", "7", "127"):
            gguf = ours.replace("{}", number) + ".weight"
            assert to_model(one, gguf) == theirs.replace("{}", number) + ".weight"
            assert to_gguf(one, to_model(one, gguf)) == gguf
    for unknown in (
        "x.weight",
        "blk.0.attn_q",
        "blk.attn_q.weight",
        "blk.-1.attn_q.weight",
        "blk.0.x.weight",
    ):
        assert to_model(one, unknown) is None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_converts(architecture, make_gguf, tmp_path):
    report = convert_model(make_gguf(architecture), tmp_path / "out")
    assert report.source_kind == "gguf"
    assert report.lossless
    assert verify_model(tmp_path / "out").ok
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["model_type"] == architecture
    assert config["hidden_size"] == 32
    assert config["vocab_size"] == 24
    with open_weights(tmp_path / "out") as weights:
        assert weights.kind == "native"
        assert len(weights.names()) == report.tensors


@pytest.mark.parametrize("kind", blocks.SIZES)
def test_every_type_of_numbers(kind, make_gguf):
    with_rows = {"blk.0.ffn_down.weight": (32, 256)} if blocks.SIZES[kind][0] == 256 else {}
    if with_rows:  # rows of whole blocks: only this matrix has the type
        path = make_gguf("qwen2", "F32")
        raw = _one_tensor(path.with_name("one.gguf"), kind)
    else:
        raw = make_gguf("qwen2", kind)
    file = _native.GgufFile.open(bytes(raw))
    theirs = "blk.0.ffn_down.weight"
    expected = blocks.decode(kind, file.tensor(theirs)).reshape(file.shape(theirs))
    with GgufModel.open(raw) as model:
        tensor = model.tensor("model.layers.0.mlp.down_proj.weight")
        assert tensor.spec == model.spec("model.layers.0.mlp.down_proj.weight")
        assert np.array_equal(tensor.to_float32(), expected)
        if kind in ("F32", "F16"):
            assert tensor.spec.quant_type == {"F32": "fp32", "F16": "fp16"}[kind]


def _one_tensor(path, kind):
    from tests.interchange.forge import write_gguf
    from tests.weights.gguf.conftest import DECODER
    from tests.weights.gguf.conftest import blocks as make_blocks

    metadata = {"general.architecture": "qwen2"} | {f"qwen2.{key}": value for key, value in DECODER.items()}
    shape = (32, 256)
    data = make_blocks(kind, shape, np.random.default_rng(5))
    path.write_bytes(write_gguf(metadata, {"blk.0.ffn_down.weight": (kind, shape, data)}))
    return path


def test_rows_of_query_and_key_are_put_back(make_gguf):
    path = make_gguf("llama")
    file = _native.GgufFile.open(bytes(path))
    with GgufModel.open(path) as model:
        for theirs, name, heads in (("attn_q", "q_proj", 4), ("attn_k", "k_proj", 2)):
            interleaved = file.decode(f"blk.1.{theirs}.weight")
            halves = model.tensor(f"model.layers.1.self_attn.{name}.weight").to_float32()
            size = 8
            for head in range(heads):
                for i in range(size // 2):
                    for half in range(2):
                        row, place = head * size + half * 4 + i, head * size + 2 * i + half
                        assert np.array_equal(halves[row], interleaved[place])
        same = model.tensor("model.layers.1.self_attn.v_proj.weight").to_float32()
        assert np.array_equal(same, file.decode("blk.1.attn_v.weight"))


def test_norms_of_gemma_lose_their_offset(make_gguf):
    path = make_gguf("gemma")
    file = _native.GgufFile.open(bytes(path))
    with GgufModel.open(path) as model:
        stored = file.decode("output_norm.weight")
        assert np.array_equal(model.tensor("model.norm.weight").to_float32(), stored - np.float32(1))
        assert model.model["tie_word_embeddings"] is True


def test_settings_of_a_decoder(make_gguf):
    more = {
        "tokenizer.chat_template": "{{ messages }}",
        "llama.rope.scaling.type": "linear",
        "llama.rope.scaling.factor": 4.0,
        "llama.rope.scaling.original_context_length": 64,
        "llama.attention.key_length": 8,
        "tokenizer.ggml.padding_token_id": 2**32 - 1,
    }
    extra = {"output.weight": (24, 32), "rope_freqs.weight": (4,)}
    with GgufModel.open(make_gguf("llama", metadata=more, tensors=extra)) as model:
        config = model.model
        assert "rope_freqs.weight" not in model.names()
        assert "lm_head.weight" in model.names()
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["rms_norm_eps"] == 1e-5
    assert config["rope_theta"] == 500000.0
    assert config["rope_scaling"] == {
        "rope_type": "linear",
        "factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    assert config["tie_word_embeddings"] is False
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)
    assert "pad_token_id" not in config
    assert config["arrowmind"]["chat_template"] == "{{ messages }}"
    assert len(config["arrowmind"]["rope_factors"]) == 4


def test_settings_of_an_encoder(make_gguf):
    with GgufModel.open(make_gguf("bert")) as model:
        config = model.model
    assert config["layer_norm_eps"] == 1e-12
    assert config["type_vocab_size"] == 2
    assert config["arrowmind"] == {"pooling": "cls", "normalize": True, "max_tokens": 20}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metadata": {"general.architecture": "mamba"}}, "'mamba'; llama, qwen2"),
        ({"metadata": {"general.architecture": None}}, "None; llama, qwen2"),
        ({"metadata": {"llama.block_count": None}}, "llama.block_count is missing; int is needed"),
        ({"metadata": {"llama.block_count": "two"}}, "llama.block_count is 'two'; int is needed"),
        ({"metadata": {"llama.block_count": [2, 2]}}, "llama.block_count is array"),
        ({"metadata": {"llama.rope.freq_base": "x"}}, "a number is needed"),
        ({"metadata": {"llama.attention.head_count": 0}}, "head_count is 0"),
        ({"metadata": {"llama.block_count": 2**31}}, "a whole number from 0"),
        ({"metadata": {"split.count": 3}}, "one of 3 parts"),
        ({"tensors": {"blk.0.ffn_gate_exps.weight": (4, 32)}}, "'blk.0.ffn_gate_exps.weight' is none of"),
        ({"tensors": {"blk.00.attn_norm.weight": (32,)}}, "are the same one"),
        ({"metadata": {"tokenizer.ggml.bos_token_id": -3}}, "a token id below"),
    ],
)
def test_models_that_cannot_be_converted(options, message, make_gguf):
    with pytest.raises(WeightError, match=message):
        GgufModel.open(make_gguf("llama", **options))


def test_heads_that_do_not_fit_the_rows(make_gguf):
    with (
        GgufModel.open(make_gguf("llama", metadata={"llama.attention.head_count": 5})) as model,
        pytest.raises(WeightError, match="not those of 5 heads"),
    ):
        model.tensor("model.layers.0.self_attn.q_proj.weight")


def test_numbers_that_are_none(make_gguf):
    path = make_gguf("qwen2", "Q8_0")
    place = _native.GgufFile.open(bytes(path)).offset("blk.0.attn_v.weight")
    data = bytearray(path.read_bytes())
    data[place : place + 2] = b"\x00\x7c"
    path.write_bytes(data)
    with GgufModel.open(path) as model, pytest.raises(WeightError, match="NaN or infinity"):
        model.tensor("model.layers.0.self_attn.v_proj.weight")


def test_types_and_names_that_are_not_served(make_gguf):
    with GgufModel.open(make_gguf()) as model:
        with pytest.raises(WeightError, match=r"did you mean model\.norm\.weight"):
            model.tensor("model.norm.weigh")
        with pytest.raises(WeightError, match="no tensor"):
            model.spec("blk.0.attn_q.weight")


def test_folders_with_one_or_more_files(make_gguf, tmp_path):
    path = make_gguf()
    with open_weights(tmp_path) as weights:
        assert weights.kind == "gguf"
    shutil.copy(path, tmp_path / "other.gguf")
    with pytest.raises(WeightError, match="holds 2 GGUF files"):
        open_weights(tmp_path)


def test_files_beside_a_gguf_file_are_not_mixed_in(make_gguf, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "other"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    convert_model(make_gguf(), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model_type"] == "llama"
    assert json.loads((tmp_path / "out" / "tokenizer.json").read_text())["model"]["type"] == "BPE"


def test_a_tokenizer_of_an_unknown_kind_may_lie_beside(make_gguf, tmp_path):
    path = make_gguf(metadata={"tokenizer.ggml.model": "t5"})
    with pytest.raises(WeightError, match="'t5'; gpt2, llama, bert can be converted"):
        convert_model(path, tmp_path / "out")
    (tmp_path / "tokenizer.json").write_text('{"mine": 1}')
    convert_model(path, tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").read_text() == '{"mine": 1}'


def test_a_model_without_a_tokenizer(make_gguf, tmp_path):
    with pytest.raises(WeightError, match=r"tokenizer.json is missing"):
        convert_model(make_gguf(tokenizer={}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_engine_runs_what_was_converted(make_gguf, tmp_path):
    path = make_gguf("gemma")
    convert_model(path, tmp_path / "out")
    assert ArrowEngine(tmp_path / "out").info()["family"] == "gemma"
    with pytest.raises(WeightError, match=r"not a folder; give a model folder made by `arrowmind convert`"):
        ArrowEngine(path)


def test_damage_is_noticed(make_gguf):
    path = make_gguf()
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(IntegrityError, match="it should"):
        GgufModel.open(path)


@pytest.fixture
def stories(shared_data):
    path = shared_data / "stories260K" / "stories260K.gguf"
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


def test_a_real_model_means_what_it_should(stories, tmp_path):
    """Its loss on a story is that of a trained model; with rows left as GGUF has them it is not."""
    convert_model(stories, tmp_path / "out")
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    tokens = tokenizer.encode(STORY).ids
    assert tokens[0] == 1
    assert tokenizer.decode(tokens) == STORY
    with open_weights(tmp_path / "out") as weights:
        known = {name: weights.tensor(name).to_float32() for name in weights.names()}
        config = weights.model
    right = llama.loss(llama.logits(config, known.__getitem__, tokens), tokens)
    file = _native.GgufFile.open(bytes(stories))
    for block in range(5):
        for part in "qk":
            wrong = file.decode(f"blk.{block}.attn_{part}.weight")
            known[f"model.layers.{block}.self_attn.{part}_proj.weight"] = wrong
    assert right < 1.4
    assert llama.loss(llama.logits(config, known.__getitem__, tokens), tokens) > right + 0.3
