"""Language models of any size with random INT8 matrices: to measure memory and speed, not what is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.observe import no_progress
from arrowmind.weights.tensor import Tensor, float_tensor, int8_tensor
from arrowmind.weights.writer import write_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from arrowmind.observe import Progress

__all__ = ["random_tensors", "write_random_model"]

_SPREAD = 73  # standard deviation of random codes


def write_random_model(folder: Path, config: Mapping[str, Any], progress: Progress = no_progress) -> None:
    """Makes a model folder.

    Args:
        folder: does not exist yet.
        config: as in config.json, of a `llama`, `mixtral` or `qwen3_moe` whose head is tied to its table.
        progress: called with tensors written, all of them, and what is done.
    """
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(config)), encoding="utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(config["vocab_size"])), encoding="utf-8")
    write_weights(folder / "weights.arrow", _told(config, progress), {"model": dict(config)})


def _told(config: Mapping[str, Any], progress: Progress) -> Iterator[Tensor]:
    total = 2 + config["num_hidden_layers"] * (9 + 3 * (_experts(config) or 1))
    for done, tensor in enumerate(random_tensors(config), 1):
        progress(min(done, total), total, "writing")
        yield tensor


def _tokenizer(size: int) -> dict[str, Any]:
    """Words that are their numbers."""
    return {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "decoder": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": True},
        "model": {"type": "WordLevel", "vocab": {f"w{i}": i for i in range(size)}, "unk_token": "w0"},
    }


def _experts(config: Mapping[str, Any]) -> int | None:
    found: int | None = config.get("num_experts", config.get("num_local_experts"))
    return found


def random_tensors(config: Mapping[str, Any]) -> Iterator[Tensor]:
    """The tensors of a model; an expert's side by side, behind all others, as in a file of a real one.

    Outputs are about as large as inputs, but those of attention are smaller: what all tokens of a text share
    would else outweigh the token itself, and all would take the same routes.
    """
    chance = np.random.default_rng(0)
    hidden = config["hidden_size"]
    yield _matrix(chance, "model.embed_tokens.weight", config["vocab_size"], hidden, gain=2 * hidden**0.5)
    yield _ones("model.norm.weight", hidden)
    roots = [f"model.layers.{layer}." for layer in range(config["num_hidden_layers"])]
    for root in roots:
        yield _ones(f"{root}input_layernorm.weight", hidden)
        yield _ones(f"{root}post_attention_layernorm.weight", hidden)
        yield from _attention(chance, config, f"{root}self_attn.")
        yield from _before_experts(chance, config, root)
    for root in roots:
        for expert in range(_experts(config) or 0):
            yield from _feed_forward(chance, config, f"{_place(config, root)}experts.{expert}.")


def _attention(chance: np.random.Generator, config: Mapping[str, Any], place: str) -> Iterator[Tensor]:
    hidden, dim = config["hidden_size"], config["head_dim"]
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    for part, rows in (("q", heads), ("k", keys), ("v", keys)):
        yield _matrix(chance, f"{place}{part}_proj.weight", rows * dim, hidden)
    yield _matrix(chance, f"{place}o_proj.weight", hidden, heads * dim, gain=0.3)
    if config["model_type"] == "qwen3_moe":
        yield _ones(f"{place}q_norm.weight", dim)
        yield _ones(f"{place}k_norm.weight", dim)


def _place(config: Mapping[str, Any], root: str) -> str:
    return f"{root}block_sparse_moe." if config["model_type"] == "mixtral" else f"{root}mlp."


def _before_experts(chance: np.random.Generator, config: Mapping[str, Any], root: str) -> Iterator[Tensor]:
    """The router of a block with experts, the matrices of one without."""
    place, hidden, experts = _place(config, root), config["hidden_size"], _experts(config)
    if experts is None:
        yield from _feed_forward(chance, config, place)
        return
    router = chance.standard_normal((experts, hidden), dtype=np.float32) / np.float32(hidden**0.5)
    yield float_tensor(f"{place}gate.weight", router).for_kernels()


def _feed_forward(chance: np.random.Generator, config: Mapping[str, Any], place: str) -> Iterator[Tensor]:
    hidden = config["hidden_size"]
    inner = config["moe_intermediate_size"] if "num_experts" in config else config["intermediate_size"]
    names = ("w1", "w3", "w2") if config["model_type"] == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    yield _matrix(chance, f"{place}{names[0]}.weight", inner, hidden)
    yield _matrix(chance, f"{place}{names[1]}.weight", inner, hidden)
    yield _matrix(chance, f"{place}{names[2]}.weight", hidden, inner)


def _matrix(chance: np.random.Generator, name: str, n: int, k: int, gain: float = 1.4) -> Tensor:
    codes = np.frombuffer(chance.bytes(n * k), np.int8).reshape(n, k)
    codes = np.maximum(codes, np.int8(-127))
    return int8_tensor(name, codes, np.full(n, gain / _SPREAD / k**0.5, np.float32), activation="int8")


def _ones(name: str, size: int) -> Tensor:
    return float_tensor(name, np.ones(size, np.float32))
