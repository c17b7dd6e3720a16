"""The Qwen2 family with experts, and a gated feed-forward that every token passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import Traits, build_decoder, windows_of_kinds
from arrowmind.models.expert_block import count_of, experts_of, is_sparse, plain_router, routed

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_block import BlockKeys
    from arrowmind.models.decoder_spec import DecoderSpec, RoutedFeedForward
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("qwen2_moe",)


def _window(config: ModelConfig, index: int) -> int | None:
    """Windows are off unless asked for, and then stand in every other block below a number."""
    if not config.flag("use_sliding_window", default=False):
        return None
    if config.has("layer_types"):
        return windows_of_kinds(config, index)
    below = index < config.integer("max_window_layers", 28, minimum=0)
    return config.integer("sliding_window", 4096) if below and index % 2 == 0 else None


def _routed(block: BlockKeys) -> RoutedFeedForward | None:
    if not is_sparse(block):
        return None
    count = count_of(block, "num_experts", "num_local_experts")
    normalised = block.config.flag("norm_topk_prob", default=False)
    router = plain_router(block, "mlp.gate", normalised=normalised)
    experts = experts_of(block, "mlp.experts", count)
    return routed(router, experts, block, "mlp.shared_expert", "mlp.shared_expert_gate")


_TRAITS = Traits(window=_window, routed=_routed)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
