"""GGUF models with experts: stacks taken apart matrix by matrix, and what the model says then."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine import decoders
from tests.interchange.forge import write_gguf
from tests.reference import decoder
from tests.reference import gguf as blocks
from tests.weights.gguf.conftest import TOKENIZER, VOCABULARY

from arrowmind import ArrowEngine, _native
from arrowmind.errors import InvalidArgumentError, WeightError
from arrowmind.weights import GgufModel, convert_model
from arrowmind.weights.gguf.architectures import EXPERT_ARCHITECTURES
from arrowmind.weights.gguf.tensor_names import head_rows, to_gguf

SEED = 97
NAMES = {"mixtral": "llama", "qwen2-moe": "qwen2moe", "qwen3-moe": "qwen3moe"}
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "head_dim": 16,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": VOCABULARY,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "rope_theta": 10000.0,
}


def small(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    config = {**decoder.CONFIGS[name], **SIZES}
    if name == "mixtral":
        config["intermediate_size"] = 32
    return config, decoder.random_weights(config, SEED)


def stacked(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Under the names of Mixtral that are as those of the others, experts in one tensor."""
    result: dict[str, np.ndarray] = {}
    for name, value in weights.items():
        ours = name.replace("block_sparse_moe", "mlp")
        for old, new in (("w1", "gate_proj"), ("w3", "up_proj"), ("w2", "down_proj")):
            ours = ours.replace(f".{old}.", f".{new}.")
        if ".experts." not in ours:
            result[ours] = value
            continue
        place, rest = ours.split(".experts.")
        expert, matrix = rest.split(".", 1)
        stack = result.get(f"{place}.experts.{matrix}", np.empty((0, *value.shape), np.float32))
        assert len(stack) == int(expert)
        result[f"{place}.experts.{matrix}"] = np.concatenate([stack, value[None]])
    return result


def write(path, name: str, kind: str, change: dict | None = None) -> dict:
    """A GGUF file of a model, its matrices of `kind`."""
    config, weights = small(name)
    architecture = EXPERT_ARCHITECTURES[NAMES[name]]
    known = {"general.architecture": architecture.name, **TOKENIZER}
    values = config | ({"num_experts": config["num_local_experts"]} if name == "mixtral" else {})
    for key, theirs in architecture.settings.items():
        if values.get(key) is not None:
            known[f"{architecture.name}.{theirs}"] = values[key]
    content = {}
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for ours, value in stacked(weights).items():
        theirs = to_gguf(architecture, ours)
        assert theirs is not None
        order = head_rows(architecture, theirs, heads, len(value))
        kept = value[np.argsort(order)] if order.size else value
        if "inp_shexp" in theirs:
            kept = kept[0]
        chosen = kind if kept.ndim > 1 and "gate_inp" not in theirs else "F32"
        data = _native.gguf_encode(chosen, np.ascontiguousarray(kept).reshape(-1)).tobytes()
        content[theirs] = (chosen, kept.shape, data)
    path.write_bytes(write_gguf(known | (change or {}), content))
    return config


@pytest.mark.parametrize("name", NAMES)
def test_logits_of_a_file_with_stacks(tmp_path, name):
    config = write(tmp_path / "model.gguf", name, "F32")
    convert_model(tmp_path / "model.gguf", tmp_path / "model")
    tokens = [1, 5, 20, 3, 3, 11, 7]
    expected = decoder.logits(config | {"num_hidden_layers": 2}, small(name)[1], tokens)
    found = ArrowEngine(tmp_path / "model").logits(tokens)
    # Numbers travel as float32 that the file holds as such: eps and theta, too.
    assert np.abs(found - expected).max() <= decoders.logits_bound(config, expected)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "F16"])
def test_matrices_of_a_stack(tmp_path, kind):
    write(tmp_path / "model.gguf", "qwen3-moe", kind)
    file = _native.GgufFile.open(bytes(tmp_path / "model.gguf"))
    theirs = "blk.1.ffn_up_exps.weight"
    whole = blocks.decode(kind, file.tensor(theirs)).reshape(file.shape(theirs))
    with GgufModel.open(tmp_path / "model.gguf") as model:
        for expert in (0, 7):
            name = f"model.layers.1.mlp.experts.{expert}.up_proj.weight"
            tensor = model.tensor(name)
            assert tensor.spec == model.spec(name)
            assert np.array_equal(tensor.to_float32(), whole[expert])
        assert not model.has("model.layers.1.mlp.experts.8.up_proj.weight")
        assert model.spec("model.layers.0.mlp.gate.weight").quant_type == "fp32"
    with pytest.raises(InvalidArgumentError, match="no stack"):
        file.decode(theirs, 8)
    with pytest.raises(InvalidArgumentError, match="no stack"):
        file.decode("blk.0.attn_q.weight", 0)


def test_experts_of_other_architectures_are_refused(tmp_path):
    write(
        tmp_path / "model.gguf",
        "qwen3-moe",
        "F32",
        {"general.architecture": "gemma", "gemma.expert_count": 8},
    )
    with pytest.raises(
        WeightError, match="'gemma' with experts; llama, qwen2moe, qwen3moe, deepseek2 can be"
    ):
        GgufModel.open(tmp_path / "model.gguf")
