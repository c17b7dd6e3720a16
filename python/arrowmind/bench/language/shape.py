"""The shape of Qwen2.5-0.5B with weights from a seed: the same for every contender, on no disk."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import WeightError
from arrowmind.weights import WeightSource
from arrowmind.weights.roles import role_of
from arrowmind.weights.tensor import Tensor, float_tensor
from arrowmind.weights.tensor_spec import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["QWEN2_HALF_BILLION", "SeededWeights", "write_shape"]

QWEN2_HALF_BILLION: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}
_SEED = 20_261_121
# What attention and feed-forward add is smaller than what they add to, as in trained models.
_GAINS = {"o_proj": 0.5, "down_proj": 0.5}
_TABLE_DEVIATION = 0.05


def write_shape(folder: Path, config: Mapping[str, Any]) -> None:
    """Writes config.json, and a tokenizer.json of single bytes that every reader takes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer()), encoding="utf-8")


def _tokenizer() -> dict[str, Any]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [*map(chr, printable), *(chr(256 + place) for place in range(len(others)))]
    vocabulary = {letter: place for place, letter in enumerate(letters)} | {"ab": len(letters)}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": ["a b"]},
    }


class SeededWeights(WeightSource):
    """Weights of a Qwen2, or of given shapes, each drawn from the seed and its name when asked for."""

    kind = "huggingface"

    def __init__(self, folder: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        """Of the config.json in this folder; `shapes` by name, None for those of a Qwen2."""
        self.path = folder
        self._config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._shapes = _shapes(self._config) if shapes is None else dict(shapes)

    def names(self) -> list[str]:
        """Of all tensors."""
        return list(self._shapes)

    def spec(self, name: str) -> TensorSpec:
        """Matrices are fp16, vectors fp32."""
        if name not in self._shapes:
            raise WeightError(f"the shape has no tensor {name!r}")
        shape = self._shapes[name]
        return TensorSpec(name, "fp16" if len(shape) == 2 else "fp32", shape)

    def tensor(self, name: str) -> Tensor:
        """Drawn anew each time, to the same bits."""
        shape = self.spec(name).shape
        values = np.random.default_rng([_SEED, zlib.crc32(name.encode())]).standard_normal(shape, np.float32)
        if len(shape) == 1:
            return float_tensor(name, values * np.float32(0.1) + np.float32("norm" in name.lower()))
        if role_of(name, shape) == "table":
            deviation = _TABLE_DEVIATION
        else:
            deviation = _GAINS.get(name.split(".")[-2], 1.0) / float(np.sqrt(shape[1]))
        values *= np.float32(deviation)
        return float_tensor(name, values.astype(np.float16))

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        """The configuration alone."""
        return {"model": self._config, "quantization": {}, "precision": {}}

    def close(self) -> None:
        """Does nothing: there is no file."""


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    dim = hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * dim, config["num_key_value_heads"] * dim
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(config["num_hidden_layers"]):
        root = f"model.layers.{layer}."
        shapes[f"{root}input_layernorm.weight"] = (hidden,)
        for part, rows in (("q", queries), ("k", keys), ("v", keys)):
            shapes[f"{root}self_attn.{part}_proj.weight"] = (rows, hidden)
            shapes[f"{root}self_attn.{part}_proj.bias"] = (rows,)
        shapes[f"{root}self_attn.o_proj.weight"] = (hidden, queries)
        shapes[f"{root}post_attention_layernorm.weight"] = (hidden,)
        for part in ("gate", "up"):
            shapes[f"{root}mlp.{part}_proj.weight"] = (inner, hidden)
        shapes[f"{root}mlp.down_proj.weight"] = (hidden, inner)
    return shapes
