"""The DeepSeek-V3 family: as V2, with sigmoid scores, a bias that chooses, and groups by their two best."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

FAMILIES = ("deepseek_v3",)


def _routed(block: BlockKeys) -> RoutedFeedForward | None:
    if not has_experts(block):
        return None
    config = block.config
    config.text("scoring_func", "sigmoid", allowed=("sigmoid",))
    config.text("topk_method", "noaux_tc", allowed=("noaux_tc",))
    router = Router(
        block.linear("mlp.gate").weight,
        config.integer("num_experts_per_tok"),
        score="sigmoid",
        bias=f"{block.key}mlp.gate.e_score_correction_bias",
        groups=config.integer("n_group", 8),
        kept_groups=config.integer("topk_group", 4),
        group_score="two-largest",
        normalised=config.flag("norm_topk_prob", default=True),
        factor=config.number("routed_scaling_factor", 2.5),
    )
    return routed_and_shared(block, router)


_TRAITS = Traits(routed=_routed, latent=latent_attention)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
