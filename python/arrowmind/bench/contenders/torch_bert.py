"""A plain PyTorch BERT with mean pooling, read from safetensors: exported to ONNX, and compiled by torch.

Exporting the class of `transformers` by tracing loses the padding mask, so that padded rows come out wrong.
"""

from __future__ import annotations

import json
import math
import warnings
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from pathlib import Path


class Block(nn.Module):
    """One block of BERT: attention and feed-forward, each followed by a residual and a layer norm."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        d, inner = config["hidden_size"], config["intermediate_size"]
        self.heads = config["num_attention_heads"]
        self.query, self.key, self.value, self.output = (nn.Linear(d, d) for _ in range(4))
        self.up, self.down = nn.Linear(d, inner), nn.Linear(inner, d)
        self.attention_norm = nn.LayerNorm(d, config["layer_norm_eps"])
        self.norm = nn.LayerNorm(d, config["layer_norm_eps"])

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map [b, t, d] to [b, t, d]; `bias` [b, 1, 1, t] is added to the attention scores."""
        q, k, v = (self._split(linear(x)) for linear in (self.query, self.key, self.value))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = self.attention_norm(x + self.output(mixed))
        out: Tensor = self.norm(x + self.down(functional.gelu(self.up(x))))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class SentenceBert(nn.Module):
    """Token ids and mask, int64 [b, t], to unit vectors float32 [b, d]."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        d = config["hidden_size"]
        self.words = nn.Embedding(config["vocab_size"], d)
        self.positions = nn.Embedding(config["max_position_embeddings"], d)
        self.types = nn.Embedding(config["type_vocab_size"], d)
        self.norm = nn.LayerNorm(d, config["layer_norm_eps"])
        self.blocks = nn.ModuleList(Block(config) for _ in range(config["num_hidden_layers"]))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode; padded positions do not count."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.norm(self.words(input_ids) + self.positions(positions) + self.types.weight[0])
        keep = attention_mask.to(x.dtype)
        bias = (1 - keep)[:, None, None, :] * torch.finfo(torch.float32).min
        for block in self.blocks:
            x = block(x, bias)
        pooled = (x * keep.unsqueeze(-1)).sum(1) / keep.sum(1, keepdim=True)
        return functional.normalize(pooled, dim=-1)


_BLOCK_KEYS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}


def load(source: Path) -> SentenceBert:
    """Read the model of a Hugging Face folder."""
    config = json.loads((source / "config.json").read_text())
    model = SentenceBert(config)
    tensors = safetensors.torch.load_file(source / "model.safetensors")
    state = {
        "words.weight": tensors["embeddings.word_embeddings.weight"],
        "positions.weight": tensors["embeddings.position_embeddings.weight"],
        "types.weight": tensors["embeddings.token_type_embeddings.weight"],
    }
    for part in ("weight", "bias"):
        state[f"norm.{part}"] = tensors[f"embeddings.LayerNorm.{part}"]
        for index in range(config["num_hidden_layers"]):
            for ours, theirs in _BLOCK_KEYS.items():
                state[f"blocks.{index}.{ours}.{part}"] = tensors[f"encoder.layer.{index}.{theirs}.{part}"]
    model.load_state_dict(state)
    model.eval()
    return model


def export_onnx(source: Path, target: Path) -> None:
    """Write the model as an ONNX graph with free batch and length."""
    ids = torch.tensor([[101, 2023, 2003, 102], [101, 2748, 102, 0]])
    axes = {0: "batch", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its own retirement
        torch.onnx.export(
            load(source),
            (ids, (ids > 0).long()),
            str(target),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
