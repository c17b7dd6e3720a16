"""The Qwen3 family with experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.models.decoder_block import Traits, build_decoder
from arrowmind.models.expert_block import count_of, experts_of, is_sparse, plain_router, routed

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_block import BlockKeys
    from arrowmind.models.decoder_spec import DecoderSpec, RoutedFeedForward
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("qwen3_moe",)


def _window(config: ModelConfig, index: int) -> int | None:  # noqa: ARG001  the same in every block
    is_on = config.flag("use_sliding_window", default=False)
    return config.integer("sliding_window", 4096) if is_on else None


def _routed(block: BlockKeys) -> RoutedFeedForward | None:
    if not is_sparse(block):
        return None
    count = count_of(block, "num_experts", "num_local_experts")
    normalised = block.config.flag("norm_topk_prob", default=False)
    router = plain_router(block, "mlp.gate", normalised=normalised)
    return routed(router, experts_of(block, "mlp.experts", count), block)


_TRAITS = Traits(head_norms=True, window=_window, routed=_routed)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
