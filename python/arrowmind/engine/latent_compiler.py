"""Adds attention over latent rows to a plan: the short rows are the keys and values of all heads.

A head's score of a token is q . (U c), U its matrix that unfolds the plain part of a key from the short row
c: the same as (U^T q) . c. And the values V c that attention adds up are V times the sum of the rows. So
matrices of heads go to the side of the queries and of the result (DeepSeek-V2, arXiv:2405.04434, section
2.1.2), a cache holds a row per token instead of keys and values of every head, and attention has one head of
keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arrowmind.errors import WeightError
from arrowmind.weights.tensor import float_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from arrowmind.engine.layers import LayerBuilder
    from arrowmind.models.decoder_spec import LatentAttention
    from arrowmind.weights import WeightSource

__all__ = ["add_latent", "folded_bytes"]


def add_latent(layers: LayerBuilder, attention: LatentAttention, source: int, turns: int, layer: int) -> int:
    """Adds the attention over `source`; `turns` are those of its rotation.

    Returns:
        The buffer with the values of every head, side by side.

    Raises:
        WeightError: a tensor is missing or has another shape than the others need.
    """
    plan, heads, size = layers.plan, attention.heads, attention.head_dim
    joined, context = plan.buffer("fp32", (heads + 2) * size), plan.buffer("fp32", heads * size)
    folded = _folded(layers, attention)
    _fill(layers, attention, folded, source, joined)
    # Heads of queries and the key lie side by side: one rotation turns both.
    plan.rope(
        joined,
        turns,
        first=attention.rank,
        heads=heads + 1,
        head_dim=size,
        interleaved=attention.interleaved,
    )
    plan.attention(
        joined,
        context,
        heads=heads,
        key_heads=1,
        causal=True,
        window=attention.window or 0,
        scale=attention.scale,
        layer=layer,
    )
    value = attention.value_dim
    values = plan.buffer("fp32", heads * value)
    plan.linear_heads(folded.values, context, values, first=0, step=size, to=0, to_step=value)
    return values


def folded_bytes(weights: WeightSource, attention: LatentAttention) -> int:
    """Bytes of the matrices of heads, which are made when a model is opened."""
    rows, rank = weights.spec(attention.unfold.weight).shape
    return rows * rank * (4 if weights.spec(attention.unfold.weight).quant_type == "fp32" else 2)


def _fill(
    layers: LayerBuilder, attention: LatentAttention, folded: _Folded, source: int, joined: int
) -> None:
    """Queries of every head, the key and the value: the row, and zeros where the key has what turns."""
    plan, heads, size = layers.plan, attention.heads, attention.head_dim
    plain, turned, rank = attention.plain_dim, attention.turned_dim, attention.rank
    first = attention.query if attention.query_down is None else attention.query_down
    low = layers.tensor(first.weight).spec.shape[0]
    read = plan.buffer("fp32", low + rank + turned)
    layers.linear((first, attention.latent), source, read)
    query = _query(layers, attention, read, low)
    plan.linear_heads(folded.keys, query, joined, first=0, step=plain + turned, to=0, to_step=size)
    plan.copy(query, joined, turned, heads, first=plain, step=plain + turned, to=rank, to_step=size)
    latent = plan.buffer("fp32", rank)
    plan.copy(read, latent, rank, first=low)
    layers.norm(attention.latent_norm, latent, latent)
    layers.watch((attention.unfold.weight,), latent)
    key, value = heads * size, (heads + 1) * size
    plan.copy(latent, joined, rank, to=key)
    plan.copy(read, joined, turned, first=low + rank, to=key + rank)
    plan.copy(latent, joined, rank, to=value)
    plan.clear(joined, turned, to=value + rank)


def _query(layers: LayerBuilder, attention: LatentAttention, read: int, low: int) -> int:
    """The buffer whose first columns are the queries of all heads."""
    if attention.query_down is None or attention.query_norm is None:
        return read
    plan, columns = layers.plan, attention.heads * attention.query_dim
    short, query = plan.buffer("fp32", low), plan.buffer("fp32", columns)
    plan.copy(read, short, low)
    layers.norm(attention.query_norm, short, short)
    layers.linear((attention.query,), short, query)
    return query


class _Folded(NamedTuple):
    """Matrices of each head, as the native side is told of them.

    Attributes:
        keys: [rank, plain_dim], to the side of the queries.
        values: [value_dim, rank], from the sum of rows to the sum of values.
    """

    keys: list[dict[str, object]]
    values: list[dict[str, object]]


def _folded(layers: LayerBuilder, attention: LatentAttention) -> _Folded:
    tensor = layers.tensor(attention.unfold.weight)
    plain, value = attention.plain_dim, attention.value_dim
    shape = (attention.heads * (plain + value), attention.rank)
    if tensor.spec.shape != shape:
        raise WeightError(
            f"{tensor.spec.name} has shape {list(tensor.spec.shape)}; the configuration needs {list(shape)}"
        )
    tensor.verify()
    heads = layers.real_values(attention.unfold).reshape(attention.heads, plain + value, attention.rank)
    kind = tensor.spec.quant_type
    return _Folded(
        [_matrix(head[:plain].T, kind) for head in heads], [_matrix(head[plain:], kind) for head in heads]
    )


def _matrix(values: NDArray[np.float32], kind: str) -> dict[str, object]:
    """Packed; float16 holds what codes of 8 bits stand for to a two-thousandth, bfloat16 what it held."""
    whole = np.ascontiguousarray(values)
    if kind == "bf16":
        stored: NDArray[np.generic] = (whole.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    else:
        stored = whole if kind == "fp32" else whole.astype(np.float16)
    tensor = float_tensor("weight", stored).for_kernels()
    return {
        "type": tensor.spec.quant_type,
        "shape": tensor.spec.shape,
        "codes": tensor.codes,
        "scales": None,
        "zero_points": None,
        "sums": None,
        "bias": None,
        "streamed": False,
    }
