"""A decoder as data: what a family's file says, and the engine compiles.

One block, parametrised, serves every family: norms before attention and feed-forward, and after them where a
family has such; rotary positions; heads of queries that share heads of keys. Names are keys of tensors.
"""

from __future__ import annotations

from typing import Literal

from arrowmind.frozen import dataclass
from arrowmind.models.spec import Linear

__all__ = [
    "DecoderAttention",
    "DecoderBlock",
    "DecoderSpec",
    "Gate",
    "GatedFeedForward",
    "GroupScore",
    "Head",
    "LatentAttention",
    "RmsNorm",
    "Rope",
    "RoutedFeedForward",
    "Router",
    "RouterScore",
]

Gate = Literal["silu", "gelu", "gelu-tanh"]
RouterScore = Literal["softmax", "sigmoid"]
GroupScore = Literal["largest", "two-largest"]


@dataclass(frozen=True)
class RmsNorm:
    """x / sqrt(mean(x^2) + epsilon) * (weight + offset)."""

    weight: str
    epsilon: float
    offset: float = 0.0


@dataclass(frozen=True)
class Rope:
    """Rotary positions: halves of a head turn against each other.

    Attributes:
        frequencies: radians per position, one for each pair, as float32 holds them.
        factor: of cosines and sines.
    """

    frequencies: tuple[float, ...]
    factor: float = 1.0


@dataclass(frozen=True)
class DecoderAttention:
    """Causal self-attention.

    Attributes:
        heads: of queries.
        key_heads: of keys and values; divides `heads`.
        head_dim: columns of a head.
        scale: of scores.
        query_norm: over each head of the queries, before they turn.
        key_norm: likewise of the keys.
        window: keys of a token, itself included; None for all before it.
        cap: scores are bent to stay within it; None leaves them.
    """

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    heads: int
    key_heads: int
    head_dim: int
    scale: float
    rope: Rope
    query_norm: RmsNorm | None = None
    key_norm: RmsNorm | None = None
    window: int | None = None
    cap: float | None = None


@dataclass(frozen=True)
class LatentAttention:
    """Causal self-attention whose heads have their keys and values from one short row of a token.

    A query or key is `plain_dim` columns, then `turned_dim` that turn with the position; those of the key
    come from the token's row as they are, the same for all heads.

    Attributes:
        query: reads what `query_down` makes, normalised, or the stream where there is no `query_down`.
        latent: to the short row, and behind it the columns of keys that turn.
        latent_norm: over the short row.
        unfold: the short row to the plain part of a key, then the value, head by head.
        rank: columns of the short row.
        value_dim: columns of a value, at most those of a key.
        scale: of scores.
        interleaved: whether neighbours turn against each other, not halves.
    """

    query: Linear
    latent: Linear
    latent_norm: RmsNorm
    unfold: Linear
    output: Linear
    heads: int
    rank: int
    plain_dim: int
    turned_dim: int
    value_dim: int
    scale: float
    rope: Rope
    interleaved: bool = True
    query_down: Linear | None = None
    query_norm: RmsNorm | None = None
    window: int | None = None

    @property
    def key_heads(self) -> int:
        """Heads of keys in a cache: the short row with what turns of it is the key of all heads."""
        return 1

    @property
    def head_dim(self) -> int:
        """Columns of that key."""
        return self.rank + self.turned_dim

    @property
    def query_dim(self) -> int:
        """Columns of a head's query."""
        return self.plain_dim + self.turned_dim


@dataclass(frozen=True)
class GatedFeedForward:
    """down(activation(gate(x)) * up(x))."""

    gate: Linear
    up: Linear
    down: Linear
    activation: Gate

    @property
    def readers(self) -> tuple[Linear, ...]:
        """The layers that read what enters."""
        return self.gate, self.up

    @property
    def writers(self) -> tuple[Linear, ...]:
        """The layers whose outputs leave it."""
        return (self.down,)


@dataclass(frozen=True)
class Router:
    """Which experts serve a token, and what each counts; ties go to the expert that comes first.

    Attributes:
        weight: matrix [experts, hidden] whose outputs are scored.
        top: experts of a token, those of the best scores.
        score: `softmax` over all experts, or `sigmoid` of each.
        bias: added to scores where experts are chosen, not where they are weighed.
        groups: of as many experts each.
        kept_groups: groups that experts are chosen from: those of the best group scores.
        group_score: the best score of a group's experts, or the sum of its two best.
        normalised: whether the weights of the chosen experts are divided by their sum.
        factor: of all weights.
    """

    weight: str
    top: int
    score: RouterScore = "softmax"
    bias: str | None = None
    groups: int = 1
    kept_groups: int = 1
    group_score: GroupScore = "largest"
    normalised: bool = False
    factor: float = 1.0


@dataclass(frozen=True)
class RoutedFeedForward:
    """The weighted sum of what a token's experts make of it; and a feed-forward that every token passes.

    Attributes:
        experts: all of one shape and activation.
        shared: added for every token; None for nothing.
        shared_gate: matrix [1, hidden]: the sigmoid of its output multiplies what `shared` adds.
    """

    router: Router
    experts: tuple[GatedFeedForward, ...]
    shared: GatedFeedForward | None = None
    shared_gate: Linear | None = None

    @property
    def readers(self) -> tuple[Linear, ...]:
        """The layers that read what enters, the router among them."""
        gates = (Linear(self.router.weight), *(() if self.shared_gate is None else (self.shared_gate,)))
        return (*gates, *(layer for part in self._parts for layer in part.readers))

    @property
    def writers(self) -> tuple[Linear, ...]:
        """The layers whose outputs leave it."""
        return tuple(layer for part in self._parts for layer in part.writers)

    @property
    def _parts(self) -> tuple[GatedFeedForward, ...]:
        return self.experts if self.shared is None else (*self.experts, self.shared)


@dataclass(frozen=True)
class DecoderBlock:
    """x += attention(norm(x)), then x += feed_forward(norm(x)).

    Attributes:
        attention_output_norm: over what attention adds; None where it is added as it is.
        feed_forward_output_norm: likewise; none after experts.
    """

    attention: DecoderAttention | LatentAttention
    attention_norm: RmsNorm
    feed_forward: GatedFeedForward | RoutedFeedForward
    feed_forward_norm: RmsNorm
    attention_output_norm: RmsNorm | None = None
    feed_forward_output_norm: RmsNorm | None = None


@dataclass(frozen=True)
class Head:
    """Hidden states -> logits.

    Attributes:
        norm: over hidden states.
        weight: matrix [vocabulary, hidden]; the table of embeddings itself where it is tied.
        cap: logits are bent to stay within it; None leaves them.
    """

    norm: RmsNorm
    weight: str
    cap: float | None = None


@dataclass(frozen=True)
class DecoderSpec:
    """Everything the engine needs besides the weights.

    Attributes:
        family: The `model_type` of config.json.
        hidden: Columns of the residual stream.
        vocabulary: Token ids are below this.
        max_tokens: Longest input.
        embedding: Table [vocabulary, hidden].
        embedding_scale: Multiplies what is read from it.
    """

    family: str
    hidden: int
    vocabulary: int
    max_tokens: int
    embedding: str
    blocks: tuple[DecoderBlock, ...]
    head: Head
    embedding_scale: float = 1.0

    @property
    def has_latent_rows(self) -> bool:
        """Whether heads of keys and values unfold from latent rows."""
        return any(isinstance(block.attention, LatentAttention) for block in self.blocks)
