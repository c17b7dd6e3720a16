"""A large model folder of ours as GGUF, tensor by tensor, with the same codes: llama.cpp is measured on it.

Matrices become Q8_0, whose blocks of 32 all have the scale of their row, rounded to half precision; experts
are stacked as GGUF wants them. There is no tokenizer: tokens are given by their numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.weights import open_weights
from arrowmind.weights.gguf.encoding import Entries, TensorInfo, encode_head, padding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arrowmind.weights import WeightSource

F32, Q8_0 = 0, 8
_ARCHITECTURES = {"llama": "llama", "mixtral": "llama", "qwen3_moe": "qwen3moe"}
_OUTER = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
}
_PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate": "ffn_gate_inp",
    "block_sparse_moe.gate": "ffn_gate_inp",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_EXPERT_PARTS = {
    "gate_proj": "ffn_gate_exps",
    "up_proj": "ffn_up_exps",
    "down_proj": "ffn_down_exps",
    "w1": "ffn_gate_exps",
    "w3": "ffn_up_exps",
    "w2": "ffn_down_exps",
}
_EXPERT = re.compile(r"(?:mlp|block_sparse_moe)\.experts\.\d+\.(\w+)")
_BLOCK = np.dtype([("scale", "<f2"), ("codes", "i1", 32)])


def write_large_gguf(folder: Path, path: Path) -> None:
    """Writes the file; it appears whole or not at all."""
    source = open_weights(folder, verify="off")
    config = source.model
    stacks = _stacks(source)
    infos = [_info(source, name, members) for name, members in stacks.items()]
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(encode_head(_settings(config), infos))
        for info, members in zip(infos, stacks.values(), strict=True):
            for member in members:
                for data in _bytes_of(source, member, config):
                    file.write(data)
            file.write(bytes(padding(info.size)))
    partial.replace(path)


def _stacks(source: WeightSource) -> dict[str, list[str]]:
    """GGUF name -> the tensors that it is made of, in order."""
    found: dict[str, list[str]] = {}
    for name in source.names():
        found.setdefault(_name(name), []).append(name)
    for members in found.values():
        members.sort(key=lambda name: [int(digits) for digits in re.findall(r"\d+", name)])
    return found


def _name(ours: str) -> str:
    if ours in _OUTER:
        return _OUTER[ours]
    _, _, layer, rest = ours.split(".", 3)
    part = rest.removesuffix(".weight")
    expert = _EXPERT.fullmatch(part)
    return f"blk.{layer}.{_PARTS[part] if expert is None else _EXPERT_PARTS[expert[1]]}.weight"


def _info(source: WeightSource, name: str, members: list[str]) -> TensorInfo:
    spec = source.spec(members[0])
    shape = spec.shape if "_exps" not in name else (len(members), *spec.shape)
    count = int(np.prod(shape, dtype=np.int64))
    if spec.quant_type == "int8":
        return TensorInfo(name, Q8_0, shape, count // 32 * _BLOCK.itemsize)
    return TensorInfo(name, F32, shape, 4 * count)


def _bytes_of(source: WeightSource, name: str, config: dict[str, Any]) -> Iterator[Any]:
    tensor = source.tensor(name)
    if tensor.spec.quant_type != "int8":
        yield np.ascontiguousarray(tensor.to_float32()).data
        return
    rows, columns = tensor.spec.shape
    codes, scales = tensor.values().view(np.int8), np.asarray(tensor.scales)[:rows]
    order = _order(name, rows, config)
    blocks = np.empty((rows, columns // 32), _BLOCK)
    blocks["codes"] = codes[order].reshape(rows, -1, 32)
    blocks["scale"] = scales[order, None]
    yield blocks.view(np.uint8).data


def _order(name: str, rows: int, config: dict[str, Any]) -> Any:
    """Rows in GGUF's order: of a llama, the halves of each head of query and key are interleaved."""
    part = name.split(".")[-2]
    if _ARCHITECTURES[config["model_type"]] != "llama" or part not in ("q_proj", "k_proj"):
        return np.arange(rows)
    heads = config["num_attention_heads" if part == "q_proj" else "num_key_value_heads"]
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)


def _settings(config: dict[str, Any]) -> Entries:
    name = _ARCHITECTURES[config["model_type"]]
    experts = config.get("num_experts", config.get("num_local_experts"))
    values: dict[str, float] = {
        "block_count": config["num_hidden_layers"],
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": config["head_dim"],
        "attention.value_length": config["head_dim"],
        "rope.dimension_count": config["head_dim"],
        "attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "rope.freq_base": float(config["rope_theta"]),
        "vocab_size": config["vocab_size"],
    }
    if experts is not None:
        values |= {"expert_count": experts, "expert_used_count": config["num_experts_per_tok"]}
    if "moe_intermediate_size" in config:
        values["expert_feed_forward_length"] = config["moe_intermediate_size"]
    entries = Entries()
    entries.add("general.architecture", name)
    entries.add("general.file_type", 7)
    entries.add("general.quantization_version", 2)
    entries.add("tokenizer.ggml.model", "no_vocab")
    for key, value in values.items():
        entries.add(f"{name}.{key}", value)
    return entries
