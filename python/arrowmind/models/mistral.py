"""The Mistral family: Llama with a window in every block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import Traits, build_decoder

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "TRAITS", "build"]

FAMILIES = ("mistral",)


def _window(config: ModelConfig, index: int) -> int | None:  # noqa: ARG001  the same in every block
    return config.integer("sliding_window") if config.has("sliding_window") else None


TRAITS = Traits(window=_window)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], TRAITS)
