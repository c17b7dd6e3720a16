"""The DeepSeek-V2 family (V2, Lite, Coder-V2): latent attention, shared experts, groups by their best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import WeightError
from arrowmind.models.decoder_block import Traits, build_decoder
from arrowmind.models.decoder_spec import Router
from arrowmind.models.deepseek_block import has_experts, latent_attention, routed_and_shared

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_block import BlockKeys
    from arrowmind.models.decoder_spec import DecoderSpec, RoutedFeedForward
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("deepseek_v2",)

_METHODS = ("greedy", "group_limited_greedy")


def _routed(block: BlockKeys) -> RoutedFeedForward | None:
    if not has_experts(block):
        return None
    config = block.config
    if config.flag("norm_topk_prob", default=False):
        raise WeightError("config.json: norm_topk_prob is true, which is not served for deepseek_v2")
    config.text("scoring_func", "softmax", allowed=("softmax",))
    grouped = config.text("topk_method", "greedy", allowed=_METHODS) == "group_limited_greedy"
    router = Router(
        block.linear("mlp.gate").weight,
        config.integer("num_experts_per_tok"),
        groups=config.integer("n_group") if grouped else 1,
        kept_groups=config.integer("topk_group") if grouped else 1,
        factor=config.number("routed_scaling_factor", 1.0),
    )
    return routed_and_shared(block, router)


_TRAITS = Traits(routed=_routed, latent=latent_attention)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
