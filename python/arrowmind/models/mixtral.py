"""The Mixtral family: Mistral with experts in every block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from arrowmind.models import mistral
from arrowmind.models.decoder_block import build_decoder
from arrowmind.models.expert_block import count_of, experts_of, plain_router, routed

if TYPE_CHECKING:
    from collections.abc import Collection

    from arrowmind.models.decoder_block import BlockKeys
    from arrowmind.models.decoder_spec import DecoderSpec, RoutedFeedForward
    from arrowmind.models.settings import ModelConfig
    from arrowmind.models.spec import Pooling

__all__ = ["FAMILIES", "build"]

FAMILIES = ("mixtral",)

_OLD, _NEW = "block_sparse_moe", "mlp"


def _routed(block: BlockKeys) -> RoutedFeedForward:
    """The choice of the best is the same before and after the softmax; weights add up to one."""
    count = count_of(block, "num_local_experts", "num_experts")
    old = f"{block.key}{_OLD}.gate.weight" in block.names
    place, parts = (_OLD, ("w1", "w3", "w2")) if old else (_NEW, ("gate_proj", "up_proj", "down_proj"))
    router = plain_router(block, f"{place}.gate", normalised=True)
    return routed(router, experts_of(block, f"{place}.experts", count, parts), block)


_TRAITS = replace(mistral.TRAITS, routed=_routed)


def build(config: ModelConfig, names: Collection[str], pooling: Pooling) -> DecoderSpec:  # noqa: ARG001
    """The model that `config` describes, over weights called `names`."""
    return build_decoder(config, names, FAMILIES[0], _TRAITS)
