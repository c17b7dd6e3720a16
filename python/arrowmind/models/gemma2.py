"""The Gemma-2 family: norms on both sides, capped scores, every other block with a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import Traits, build_decoder, windows_of_kinds

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("gemma2",)


def _window(config: ModelConfig, index: int) -> int | None:
    if config.has("layer_types"):
        return windows_of_kinds(config, index)
    return config.integer("sliding_window", 4096) if index % 2 == 0 else None


_TRAITS = Traits(
    activation="hidden_activation",
    default_activation="gelu_pytorch_tanh",
    norm_offset=1.0,
    output_norms=True,
    scaled_embedding=True,
    window=_window,
)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
