"""An encoder as data: what a family's file says, and the engine compiles.

One transformer block, parametrised, serves every encoder family. Names are the keys of tensors in the weight
file; a family differs from another in these values alone.
"""

from __future__ import annotations

from typing import Literal

from arrowmind.frozen import dataclass

__all__ = ["Attention", "Block", "Embedding", "FeedForward", "Linear", "ModelSpec", "Norm", "Pooling"]


@dataclass(frozen=True)
class Linear:
    """A linear layer: weight [n_out, n_in] and an optional bias [n_out]."""

    weight: str
    bias: str | None = None


@dataclass(frozen=True)
class Norm:
    """A layer norm over the hidden dimension."""

    weight: str
    bias: str
    epsilon: float


@dataclass(frozen=True)
class Embedding:
    """Token, position and token-type tables, summed and normalised."""

    word: str
    position: str
    token_type: str | None
    norm: Norm


@dataclass(frozen=True)
class Attention:
    """Bidirectional multi-head self-attention."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    heads: int


@dataclass(frozen=True)
class FeedForward:
    """Two linear layers around a nonlinearity."""

    up: Linear
    down: Linear
    activation: Literal["gelu", "quick-gelu"]


@dataclass(frozen=True)
class Block:
    """Attention and feed-forward, each followed by its residual and norm (post-norm, as in BERT)."""

    attention: Attention
    attention_norm: Norm
    feed_forward: FeedForward
    feed_forward_norm: Norm


@dataclass(frozen=True)
class Pooling:
    """How token vectors become one vector per text."""

    kind: Literal["mean", "cls"]


@dataclass(frozen=True)
class ModelSpec:
    """Everything the engine needs besides the weights.

    Attributes:
        family: The `model_type` of config.json.
        hidden: Columns of the residual stream, and of an embedding.
        vocabulary: Token ids are below this.
        max_tokens: Longest input, special tokens included.
    """

    family: str
    hidden: int
    vocabulary: int
    max_tokens: int
    embedding: Embedding
    blocks: tuple[Block, ...]
    pooling: Pooling
