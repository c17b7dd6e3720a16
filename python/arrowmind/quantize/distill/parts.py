"""Names of a model's tensors, by what training does with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arrowmind.models.decoder_spec import DecoderAttention, DecoderBlock, DecoderSpec
    from arrowmind.models.spec import Block, Linear, ModelSpec

__all__ = ["Parts", "decoder_parts", "encoder_parts", "untrainable"]


@dataclass(frozen=True)
class Parts:
    """Tensors of a forward.

    Attributes:
        tables: of embeddings; a head. They do not learn.
        matrices: of the blocks.
        vectors: biases and norms that learn: they cost no bits, and take up part of what codes cannot say.
    """

    tables: tuple[str, ...]
    matrices: tuple[str, ...]
    vectors: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((*self.tables, *self.matrices, *self.vectors)))


def encoder_parts(model: ModelSpec) -> Parts:
    """Those of an encoder."""
    embedding = model.embedding
    tables = filter(None, (embedding.word, embedding.position, embedding.token_type))
    layers = [layer for block in model.blocks for layer in _encoder_layers(block)]
    norms = [norm for block in model.blocks for norm in (block.attention_norm, block.feed_forward_norm)]
    own = (embedding.norm.weight, embedding.norm.bias)
    vectors = (*own, *_biases(layers), *(name for norm in norms for name in (norm.weight, norm.bias)))
    return Parts(tuple(tables), tuple(layer.weight for layer in layers), vectors)


def decoder_parts(model: DecoderSpec) -> Parts:
    """Those of a decoder that is not :func:`untrainable`; the norm of its head learns, too."""
    layers = [layer for block in model.blocks for layer in _decoder_layers(block)]
    norms = [name for block in model.blocks for name in _decoder_norms(block)]
    return Parts(
        tuple(dict.fromkeys((model.embedding, model.head.weight))),
        tuple(layer.weight for layer in layers),
        (*_biases(layers), *norms, model.head.norm.weight),
    )


def untrainable(model: DecoderSpec) -> str:
    """What of a decoder the forward in torch lacks; empty where it has all."""
    if model.has_latent_rows:
        return "heads that unfold from latent rows"
    return "experts" if any(hasattr(block.feed_forward, "router") for block in model.blocks) else ""


def _biases(layers: Iterable[Linear]) -> Iterator[str]:
    return (layer.bias for layer in layers if layer.bias)


def _encoder_layers(block: Block) -> tuple[Linear, ...]:
    attention, feed_forward = block.attention, block.feed_forward
    return (
        *(attention.query, attention.key, attention.value, attention.output),
        *(feed_forward.up, feed_forward.down),
    )


def _decoder_layers(block: DecoderBlock) -> tuple[Linear, ...]:
    attention, feed_forward = cast("DecoderAttention", block.attention), block.feed_forward
    return (
        *(attention.query, attention.key, attention.value, attention.output),
        *(*feed_forward.readers, *feed_forward.writers),
    )


def _decoder_norms(block: DecoderBlock) -> Iterator[str]:
    attention = cast("DecoderAttention", block.attention)
    for norm in (
        *(block.attention_norm, attention.query_norm, attention.key_norm, block.attention_output_norm),
        *(block.feed_forward_norm, block.feed_forward_output_norm),
    ):
        if norm is not None:
            yield norm.weight
