"""The Gemma-3 family, text: norms of heads, a rotation of its own for blocks with a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import Traits, build_decoder, windows_of_kinds
from arrowmind.models.rope_settings import plain_rope, read_rope

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_spec import DecoderSpec, Rope
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("gemma3_text",)

_PERIOD = 6


def _window(config: ModelConfig, index: int) -> int | None:
    if config.has("layer_types"):
        return windows_of_kinds(config, index)
    period = config.integer("sliding_window_pattern", _PERIOD)
    return config.integer("sliding_window", 4096) if (index + 1) % period else None


def _rope(config: ModelConfig, window: int | None, head_dim: int) -> Rope:
    if window is None or config.has("rope_parameters"):
        return read_rope(config, head_dim, "full_attention" if window is None else "sliding_attention")
    return plain_rope(config.number("rope_local_base_freq", 10000.0), head_dim)


_TRAITS = Traits(
    activation="hidden_activation",
    default_activation="gelu_pytorch_tanh",
    head_norms=True,
    norm_offset=1.0,
    output_norms=True,
    scaled_embedding=True,
    window=_window,
    rope=_rope,
)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
