"""The Qwen2 and Qwen2.5 family: biases of query, key and value; windows where they are switched on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import Traits, build_decoder, windows_of_kinds

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build", "window"]

FAMILIES = ("qwen2",)


def window(config: ModelConfig, index: int) -> int | None:
    """Windows are off unless asked for, and then begin with a block of their own."""
    if not config.flag("use_sliding_window", default=False) or not config.has("sliding_window"):
        return None
    if config.has("layer_types"):
        return windows_of_kinds(config, index)
    first = config.integer("max_window_layers", 28, minimum=0)
    return config.integer("sliding_window") if index >= first else None


_TRAITS = Traits(window=window)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
