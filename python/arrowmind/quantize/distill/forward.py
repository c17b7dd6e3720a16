"""The forward of a model in torch, from its description; tensors by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arrowmind.models.spec import Attention, Block, Linear, ModelSpec, Norm

    Tensors = Callable[[str], Any]

__all__ = ["Padded", "forward", "pad"]

_FAR = -1e9


class Padded:
    """Token ids of several texts, as long as the longest.

    Attributes:
        ids: int64 [texts, tokens].
        mask: float32 [texts, tokens], 1 for tokens and 0 behind them.
    """

    def __init__(self, ids: Any, mask: Any) -> None:
        self.ids, self.mask = ids, mask

    @property
    def weights(self) -> Any:
        """[texts, tokens, 1] each token's part of its text, each text's part of the batch; their sum is 1."""
        return (self.mask / self.mask.sum(1, keepdim=True) / len(self.mask))[..., None]


def pad(sequences: Sequence[Sequence[int]]) -> Padded:
    """Sequences of ids, none empty, in one array."""
    longest = max(map(len, sequences))
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros(len(sequences), longest)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return Padded(ids, mask)


def forward(model: ModelSpec, tensors: Tensors, batch: Padded) -> tuple[Any, list[Any]]:
    """Embeddings of length 1 and the hidden states behind each block.

    Args:
        model: what to compute.
        tensors: gives a tensor by name.
        batch: the texts.

    Returns:
        [texts, hidden], and a [texts, tokens, hidden] for each block.
    """
    x = _embed(model, tensors, batch.ids)
    bias = ((1 - batch.mask) * _FAR)[:, None, None, :]
    states = []
    for block in model.blocks:
        x = _block(block, tensors, x, bias)
        states.append(x)
    pooled = x[:, 0] if model.pooling.kind == "cls" else (x * batch.mask[..., None]).sum(1)
    return functional.normalize(pooled, dim=-1), states


def _embed(model: ModelSpec, tensors: Tensors, ids: Any) -> Any:
    embedding = model.embedding
    x = tensors(embedding.word)[ids] + tensors(embedding.position)[: ids.shape[1]]
    if embedding.token_type:
        x = x + tensors(embedding.token_type)[0]
    return _norm(embedding.norm, tensors, x)


def _block(block: Block, tensors: Tensors, x: Any, bias: Any) -> Any:
    x = _norm(block.attention_norm, tensors, x + _attention(block.attention, tensors, x, bias))
    inner = functional.gelu(_linear(block.feed_forward.up, tensors, x))
    return _norm(block.feed_forward_norm, tensors, x + _linear(block.feed_forward.down, tensors, inner))


def _attention(attention: Attention, tensors: Tensors, x: Any, bias: Any) -> Any:
    texts, tokens, _ = x.shape

    def heads(layer: Linear) -> Any:
        return _linear(layer, tensors, x).view(texts, tokens, attention.heads, -1).transpose(1, 2)

    mixed = functional.scaled_dot_product_attention(
        heads(attention.query), heads(attention.key), heads(attention.value), attn_mask=bias
    )
    return _linear(attention.output, tensors, mixed.transpose(1, 2).reshape(texts, tokens, -1))


def _linear(layer: Linear, tensors: Tensors, x: Any) -> Any:
    return functional.linear(x, tensors(layer.weight), tensors(layer.bias) if layer.bias else None)


def _norm(norm: Norm, tensors: Tensors, x: Any) -> Any:
    weight = tensors(norm.weight)
    return functional.layer_norm(x, weight.shape, weight, tensors(norm.bias), norm.epsilon)
