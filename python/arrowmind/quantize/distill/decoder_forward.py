"""The forward of a decoder in torch, from its description; tensors by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from arrowmind.models.decoder_spec import (
        DecoderAttention,
        DecoderBlock,
        DecoderSpec,
        GatedFeedForward,
        RmsNorm,
        Rope,
    )
    from arrowmind.models.spec import Linear

    Tensors = Callable[[str], Any]

__all__ = ["Cache", "forward", "logits"]

# Queries that look at keys together: none of them at those behind all, which are nearly half of a window.
_QUERIES = 64


class Cache:
    """Keys and values of tokens seen so far, block by block, for drawing one token after the other."""

    def __init__(self, capacity: int) -> None:
        """Makes room for so many tokens."""
        self.tokens = 0
        self._capacity = capacity
        self._held: dict[str, tuple[Any, Any]] = {}

    def extend(self, name: str, keys: Any, values: Any) -> tuple[Any, Any]:
        """Those of block ``name`` with the new ones behind, [rows, heads, tokens, head_dim]."""
        rows, heads, new, size = keys.shape
        if name not in self._held:
            shape = (rows, heads, self._capacity, size)
            self._held[name] = keys.new_empty(shape), keys.new_empty(shape)
        end = self.tokens + new
        for held, part in zip(self._held[name], (keys, values), strict=True):
            held[:, :, self.tokens : end] = part
        held_keys, held_values = self._held[name]
        return held_keys[:, :, :end], held_values[:, :, :end]


def forward(model: DecoderSpec, tensors: Tensors, ids: Any, cache: Cache | None = None) -> list[Any]:
    """The hidden states behind each block, before the norm of the head.

    Args:
        model: what to compute; without experts and latent rows.
        tensors: gives a tensor by name.
        ids: int64 [rows, tokens], without padding.
        cache: of the tokens before these; gets theirs.

    Returns:
        A [rows, tokens, hidden] for each block.
    """
    x = tensors(model.embedding)[ids] * model.embedding_scale
    first = 0 if cache is None else cache.tokens
    places = torch.arange(first, first + ids.shape[1])
    turns: dict[Rope, tuple[Any, Any]] = {}
    states = []
    for block in model.blocks:
        rope = block.attention.rope
        turns.setdefault(rope, _turns(rope, places))
        x = _block(block, tensors, x, turns[rope], cache)
        states.append(x)
    if cache is not None:
        cache.tokens += ids.shape[1]
    return states


def logits(model: DecoderSpec, tensors: Tensors, states: Any) -> Any:
    """Logits [..., vocabulary] of hidden states [..., hidden] behind the last block."""
    head = model.head
    return _capped(functional.linear(_norm(head.norm, tensors, states), tensors(head.weight)), head.cap)


def _block(block: DecoderBlock, tensors: Tensors, x: Any, turns: tuple[Any, Any], cache: Cache | None) -> Any:
    attention = cast("DecoderAttention", block.attention)  # the method has refused others, and experts
    added = _attention(attention, tensors, _norm(block.attention_norm, tensors, x), turns, cache)
    x = x + _norm(block.attention_output_norm, tensors, added)
    layers = cast("GatedFeedForward", block.feed_forward)
    added = _feed_forward(layers, tensors, _norm(block.feed_forward_norm, tensors, x))
    return x + _norm(block.feed_forward_output_norm, tensors, added)


def _attention(
    attention: DecoderAttention, tensors: Tensors, x: Any, turns: tuple[Any, Any], cache: Cache | None
) -> Any:
    rows, tokens, _ = x.shape

    def heads(layer: Linear) -> Any:
        return _linear(layer, tensors, x).view(rows, tokens, -1, attention.head_dim).transpose(1, 2)

    query = _turned(_norm(attention.query_norm, tensors, heads(attention.query)), turns)
    key = _turned(_norm(attention.key_norm, tensors, heads(attention.key)), turns)
    value = heads(attention.value)
    if cache is not None:
        key, value = cache.extend(attention.key.weight, key, value)
    shared = attention.heads // attention.key_heads
    if tokens == 1:  # what shares keys stands below each other, and nothing is copied
        query = query.reshape(rows, attention.key_heads, shared, -1)
    elif shared > 1:
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    visible = _visible(tokens, key.shape[2], attention.window)
    if attention.cap is None:
        mixed = _mixed(query, key, value, visible, attention.scale)
    else:
        scores = _capped(query @ key.transpose(2, 3) * attention.scale, attention.cap)
        mixed = scores.masked_fill(~visible, -math.inf).softmax(-1) @ value
    if tokens == 1:
        mixed = mixed.reshape(rows, attention.heads, 1, -1)
    return _linear(attention.output, tensors, mixed.transpose(1, 2).reshape(rows, tokens, -1))


def _mixed(query: Any, key: Any, value: Any, visible: Any, scale: float) -> Any:
    """What queries make of values; each block of them is given the keys up to its last query."""
    if len(visible) == 1 and bool(visible.all()):  # many small products: attention as a whole is slow
        scores = torch.bmm((query * scale).flatten(0, 1), key.flatten(0, 1).transpose(1, 2))
        return torch.bmm(scores.softmax(-1), value.flatten(0, 1)).view_as(query)
    if len(visible) <= _QUERIES:
        return functional.scaled_dot_product_attention(query, key, value, visible, scale=scale)
    parts = []
    for begin in range(0, len(visible), _QUERIES):
        end = min(begin + _QUERIES, len(visible))
        seen = visible.shape[1] - len(visible) + end
        block = query[:, :, begin:end], key[:, :, :seen], value[:, :, :seen]
        parts.append(functional.scaled_dot_product_attention(*block, visible[begin:end, :seen], scale=scale))
    return torch.cat(parts, 2)


def _visible(tokens: int, keys: int, window: int | None) -> Any:
    """[tokens, keys] which keys the last ``tokens`` tokens see."""
    behind = torch.arange(keys - tokens, keys)[:, None] - torch.arange(keys)
    return (behind >= 0) & (behind < (window or keys))


def _turns(rope: Rope, places: Any) -> tuple[Any, Any]:
    """Cosines and sines [tokens, head_dim / 2]; angles are rounded to float32, as the engine rounds them."""
    angles = (places.float()[:, None] * torch.tensor(rope.frequencies, dtype=torch.float32)).double()
    return (angles.cos() * rope.factor).float(), (angles.sin() * rope.factor).float()


def _turned(x: Any, turns: tuple[Any, Any]) -> Any:
    low, high = x.chunk(2, -1)
    cosine, sine = turns
    return torch.cat([low * cosine - high * sine, high * cosine + low * sine], -1)


def _feed_forward(layers: GatedFeedForward, tensors: Tensors, x: Any) -> Any:
    gate = _linear(layers.gate, tensors, x)
    if layers.activation == "silu":
        bent = functional.silu(gate)
    else:
        bent = functional.gelu(gate, approximate="tanh" if layers.activation == "gelu-tanh" else "none")
    return _linear(layers.down, tensors, bent * _linear(layers.up, tensors, x))


def _linear(layer: Linear, tensors: Tensors, x: Any) -> Any:
    return functional.linear(x, tensors(layer.weight), tensors(layer.bias) if layer.bias else None)


def _norm(norm: RmsNorm | None, tensors: Tensors, x: Any) -> Any:
    if norm is None:
        return x
    return (
        x * torch.rsqrt((x * x).mean(-1, keepdim=True) + norm.epsilon) * (tensors(norm.weight) + norm.offset)
    )


def _capped(x: Any, cap: float | None) -> Any:
    return x if cap is None else cap * torch.tanh(x / cap)
