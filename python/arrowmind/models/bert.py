"""The BERT family: post-norm encoder, learned positions, exact GELU (all-MiniLM, bge, e5, gte v1 ...)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import WeightError
from arrowmind.models.spec import Attention, Block, Embedding, FeedForward, Linear, ModelSpec, Norm, Pooling

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.settings import ModelConfig

__all__ = ["FAMILIES", "build"]

FAMILIES = ("bert",)

_WORD_TABLE = "embeddings.word_embeddings.weight"


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> ModelSpec:
    """The model that `config` describes, over weights called `names`."""
    config.text("hidden_act", "gelu", allowed=("gelu",))
    config.text("position_embedding_type", "absolute", allowed=("absolute",))
    hidden = config.integer("hidden_size")
    heads = config.integer("num_attention_heads")
    if hidden % heads:
        raise WeightError(
            f"config.json: hidden_size {hidden} is not a multiple of num_attention_heads {heads}"
        )
    prefix = _prefix(names)
    epsilon = config.number("layer_norm_eps", 1e-12)
    return ModelSpec(
        family="bert",
        hidden=hidden,
        vocabulary=config.integer("vocab_size"),
        max_tokens=config.integer("max_position_embeddings"),
        embedding=_embedding(f"{prefix}embeddings.", epsilon),
        blocks=tuple(
            _block(f"{prefix}encoder.layer.{index}.", heads, epsilon)
            for index in range(config.integer("num_hidden_layers"))
        ),
        pooling=pooling,
    )


def _prefix(names: Collection[str]) -> str:
    """What stands before the keys: nothing, or `bert.` when a task head was saved with the encoder."""
    for prefix in ("", "bert."):
        if prefix + _WORD_TABLE in names:
            return prefix
    raise WeightError(f"the weights hold no tensor {_WORD_TABLE!r}; they are not those of a BERT encoder")


def _linear(key: str) -> Linear:
    return Linear(f"{key}.weight", f"{key}.bias")


def _norm(key: str, epsilon: float) -> Norm:
    return Norm(f"{key}.weight", f"{key}.bias", epsilon)


def _embedding(key: str, epsilon: float) -> Embedding:
    return Embedding(
        word=f"{key}word_embeddings.weight",
        position=f"{key}position_embeddings.weight",
        token_type=f"{key}token_type_embeddings.weight",
        norm=_norm(f"{key}LayerNorm", epsilon),
    )


def _block(key: str, heads: int, epsilon: float) -> Block:
    return Block(
        attention=Attention(
            query=_linear(f"{key}attention.self.query"),
            key=_linear(f"{key}attention.self.key"),
            value=_linear(f"{key}attention.self.value"),
            output=_linear(f"{key}attention.output.dense"),
            heads=heads,
        ),
        attention_norm=_norm(f"{key}attention.output.LayerNorm", epsilon),
        feed_forward=FeedForward(
            up=_linear(f"{key}intermediate.dense"),
            down=_linear(f"{key}output.dense"),
            activation="gelu",
        ),
        feed_forward_norm=_norm(f"{key}output.LayerNorm", epsilon),
    )
