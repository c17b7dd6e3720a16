"""What the DeepSeek families share: attention over latent rows, dense blocks first, experts behind groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrowmind.errors import WeightError
from arrowmind.models.decoder_spec import LatentAttention, RmsNorm
from arrowmind.models.expert_block import count_of, experts_of, routed
from arrowmind.models.rope_settings import read_rope, score_factor

if TYPE_CHECKING:
    from arrowmind.models.decoder_block import BlockKeys
    from arrowmind.models.decoder_spec import RoutedFeedForward, Router

__all__ = ["has_experts", "latent_attention", "routed_and_shared"]

# Of the norms of latent rows, whatever the other norms have.
_EPSILON = 1e-6


def latent_attention(block: BlockKeys) -> LatentAttention:
    """The attention of a block.

    Raises:
        WeightError: a size is missing or wrong.
    """
    config = block.config
    plain, turned = config.integer("qk_nope_head_dim"), config.integer("qk_rope_head_dim")
    value = config.integer("v_head_dim")
    if value > plain + turned:
        raise WeightError(
            f"config.json: v_head_dim is {value}, more than the {plain + turned} columns of a key; such "
            "attention is not served"
        )
    is_short = config.has("q_lora_rank")
    return LatentAttention(
        query=block.linear("self_attn.q_b_proj" if is_short else "self_attn.q_proj"),
        latent=block.linear("self_attn.kv_a_proj_with_mqa"),
        latent_norm=RmsNorm(f"{block.key}self_attn.kv_a_layernorm.weight", _EPSILON),
        unfold=block.linear("self_attn.kv_b_proj"),
        output=block.linear("self_attn.o_proj"),
        heads=config.integer("num_attention_heads"),
        rank=config.integer("kv_lora_rank"),
        plain_dim=plain,
        turned_dim=turned,
        value_dim=value,
        scale=(plain + turned) ** -0.5 * score_factor(config),
        rope=read_rope(config, turned),
        interleaved=config.flag("rope_interleave", default=True),
        query_down=block.linear("self_attn.q_a_proj") if is_short else None,
        query_norm=RmsNorm(f"{block.key}self_attn.q_a_layernorm.weight", _EPSILON) if is_short else None,
    )


def has_experts(block: BlockKeys) -> bool:
    """Whether a block has experts: all but the first few."""
    return block.index >= block.config.integer("first_k_dense_replace", 0, minimum=0)


def routed_and_shared(block: BlockKeys, router: Router) -> RoutedFeedForward:
    """The experts behind `router`, and those that every token passes as one feed-forward."""
    experts = experts_of(block, "mlp.experts", count_of(block, "n_routed_experts", "num_experts"))
    shared = block.config.integer("n_shared_experts", 0, minimum=0)
    return routed(router, experts, block, "mlp.shared_experts" if shared else None)
