"""Adds attention over latent rows to a plan: keys and values unfolded, then attention as of other models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arrowmind.engine.layers import LayerBuilder
    from arrowmind.models.decoder_spec import LatentAttention

__all__ = ["add_latent"]


def add_latent(layers: LayerBuilder, attention: LatentAttention, source: int, turns: int, layer: int) -> int:
    """Adds the attention over `source`; `turns` are those of its rotation.

    Returns:
        The buffer with the values of every head, side by side.

    Raises:
        WeightError: a tensor is missing or has another shape than the others need.
    """
    plan, heads, size = layers.plan, attention.heads, attention.head_dim
    joined, context = plan.buffer("fp32", 3 * heads * size), plan.buffer("fp32", heads * size)
    _fill(layers, attention, source, joined)
    # Heads of queries and keys lie side by side: one rotation turns both.
    plan.rope(
        joined,
        turns,
        first=attention.plain_dim,
        heads=2 * heads,
        head_dim=size,
        interleaved=attention.interleaved,
    )
    plan.attention(
        joined,
        context,
        heads=heads,
        causal=True,
        window=attention.window or 0,
        scale=attention.scale,
        layer=layer,
    )
    if attention.value_dim == size:
        return context
    values = plan.buffer("fp32", heads * attention.value_dim)
    plan.copy(context, values, attention.value_dim, heads, step=size, to_step=attention.value_dim)
    return values


def _fill(layers: LayerBuilder, attention: LatentAttention, source: int, joined: int) -> None:
    """Queries, keys and values of every head; values are padded with zeros to the size of a key."""
    plan, heads, size = layers.plan, attention.heads, attention.head_dim
    plain, value, rank = attention.plain_dim, attention.value_dim, attention.rank
    first = attention.query if attention.query_down is None else attention.query_down
    low = layers.tensor(first.weight).spec.shape[0]
    read = plan.buffer("fp32", low + rank + attention.turned_dim)
    layers.linear((first, attention.latent), source, read)
    _add_query(layers, attention, read, low, joined)
    latent = plan.buffer("fp32", rank)
    plan.copy(read, latent, rank, first=low)
    layers.norm(attention.latent_norm, latent, latent)
    unfolded = plan.buffer("fp32", heads * (plain + value))
    layers.linear((attention.unfold,), latent, unfolded)
    keys, values = heads * size, 2 * heads * size
    plan.copy(unfolded, joined, plain, heads, step=plain + value, to=keys, to_step=size)
    plan.copy(read, joined, attention.turned_dim, heads, first=low + rank, to=keys + plain, to_step=size)
    plan.copy(unfolded, joined, value, heads, first=plain, step=plain + value, to=values, to_step=size)
    if value < size:
        plan.clear(joined, size - value, heads, to=values + value, to_step=size)


def _add_query(layers: LayerBuilder, attention: LatentAttention, read: int, low: int, joined: int) -> None:
    plan, columns = layers.plan, attention.heads * attention.head_dim
    if attention.query_down is None or attention.query_norm is None:
        plan.copy(read, joined, columns)
        return
    short, query = plan.buffer("fp32", low), plan.buffer("fp32", columns)
    plan.copy(read, short, low)
    layers.norm(attention.query_norm, short, short)
    layers.linear((attention.query,), short, query)
    plan.copy(query, joined, columns)
