"""The Llama family, 2 and 3, and what is built like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import build_decoder

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("llama",)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0])
