"""The Gemma family, first version: norms with an offset, embeddings scaled, a head tied to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import Traits, build_decoder

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("gemma",)


_TRAITS = Traits(
    activation="hidden_activation",
    default_activation="gelu_pytorch_tanh",
    norm_offset=1.0,
    scaled_embedding=True,
)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
