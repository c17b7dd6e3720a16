"""The Qwen3 family, dense: Qwen2 without biases, with norms of queries and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import Traits, build_decoder
from arrowmind.models.qwen2 import window

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_spec import DecoderSpec
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("qwen3",)


_TRAITS = Traits(head_norms=True, window=window)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
