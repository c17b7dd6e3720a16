"""What differs between the families that GGUF files hold: one table per architecture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from arrowmind.errors import WeightError

__all__ = ["ARCHITECTURES", "EXPERT_ARCHITECTURES", "Architecture", "architecture"]


@dataclass(frozen=True)
class Architecture:
    """A family.

    Attributes:
        name: ``general.architecture``.
        model_type: ``model_type`` of config.json.
        classes: ``architectures`` of config.json.
        tensors: GGUF name -> Hugging Face name, both without ``.weight`` and ``.bias``; ``{}`` is the
            number of the block. A GGUF name with its suffix stands for another whole name.
        settings: key of config.json -> key of the metadata behind the architecture's name.
        constants: entries of config.json that the metadata do not say.
        interleaved: whether rows of query and key are kept with the two halves of a head interleaved.
        norm_offset: what GGUF adds to the weights of norms.
        omitted: layers that GGUF has no place for, and that its readers do without.
    """

    name: str
    model_type: str
    classes: tuple[str, ...]
    tensors: dict[str, str]
    settings: dict[str, str]
    constants: dict[str, Any] = field(default_factory=dict)
    interleaved: bool = False
    norm_offset: float = 0.0
    omitted: tuple[str, ...] = ()


_DECODER_TENSORS = {
    "token_embd": "model.embed_tokens",
    "blk.{}.attn_norm": "model.layers.{}.input_layernorm",
    "blk.{}.attn_q": "model.layers.{}.self_attn.q_proj",
    "blk.{}.attn_k": "model.layers.{}.self_attn.k_proj",
    "blk.{}.attn_v": "model.layers.{}.self_attn.v_proj",
    "blk.{}.attn_output": "model.layers.{}.self_attn.o_proj",
    "blk.{}.ffn_norm": "model.layers.{}.post_attention_layernorm",
    "blk.{}.ffn_gate": "model.layers.{}.mlp.gate_proj",
    "blk.{}.ffn_up": "model.layers.{}.mlp.up_proj",
    "blk.{}.ffn_down": "model.layers.{}.mlp.down_proj",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_DECODER_SETTINGS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
    "sliding_window": "attention.sliding_window",
}
_ENCODER_TENSORS = {
    "token_embd": "embeddings.word_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
    "blk.{}.attn_q": "encoder.layer.{}.attention.self.query",
    "blk.{}.attn_k": "encoder.layer.{}.attention.self.key",
    "blk.{}.attn_v": "encoder.layer.{}.attention.self.value",
    "blk.{}.attn_output": "encoder.layer.{}.attention.output.dense",
    "blk.{}.attn_output_norm": "encoder.layer.{}.attention.output.LayerNorm",
    "blk.{}.ffn_up": "encoder.layer.{}.intermediate.dense",
    "blk.{}.ffn_down": "encoder.layer.{}.output.dense",
    "blk.{}.layer_output_norm": "encoder.layer.{}.output.LayerNorm",
}
_ENCODER_SETTINGS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "max_position_embeddings": "context_length",
    "layer_norm_eps": "attention.layer_norm_epsilon",
}
_HEAD_NORMS = {
    "blk.{}.attn_q_norm": "model.layers.{}.self_attn.q_norm",
    "blk.{}.attn_k_norm": "model.layers.{}.self_attn.k_norm",
}

ARCHITECTURES = {
    one.name: one
    for one in (
        Architecture(
            "llama",
            "llama",
            ("LlamaForCausalLM",),
            _DECODER_TENSORS,
            _DECODER_SETTINGS,
            {"hidden_act": "silu"},
            interleaved=True,
        ),
        Architecture(
            "qwen2",
            "qwen2",
            ("Qwen2ForCausalLM",),
            _DECODER_TENSORS,
            _DECODER_SETTINGS,
            {"hidden_act": "silu"},
        ),
        Architecture(
            "qwen3",
            "qwen3",
            ("Qwen3ForCausalLM",),
            _DECODER_TENSORS | _HEAD_NORMS,
            _DECODER_SETTINGS,
            {"hidden_act": "silu", "attention_bias": False},
        ),
        Architecture(
            "gemma",
            "gemma",
            ("GemmaForCausalLM",),
            _DECODER_TENSORS,
            _DECODER_SETTINGS,
            {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"},
            norm_offset=1.0,
        ),
        Architecture(
            "bert",
            "bert",
            ("BertModel",),
            _ENCODER_TENSORS,
            _ENCODER_SETTINGS,
            {"hidden_act": "gelu", "position_embedding_type": "absolute"},
            omitted=("pooler.dense",),
        ),
    )
}
"""Every architecture that can be read and written, by its name in GGUF."""


_EXPERT_TENSORS = _DECODER_TENSORS | {
    "blk.{}.ffn_gate_inp": "model.layers.{}.mlp.gate",
    "blk.{}.ffn_gate_exps": "model.layers.{}.mlp.experts.gate_proj",
    "blk.{}.ffn_up_exps": "model.layers.{}.mlp.experts.up_proj",
    "blk.{}.ffn_down_exps": "model.layers.{}.mlp.experts.down_proj",
}
_SHARED_EXPERT = {
    "blk.{}.ffn_gate_inp_shexp": "model.layers.{}.mlp.shared_expert_gate",
    "blk.{}.ffn_gate_shexp": "model.layers.{}.mlp.shared_expert.gate_proj",
    "blk.{}.ffn_up_shexp": "model.layers.{}.mlp.shared_expert.up_proj",
    "blk.{}.ffn_down_shexp": "model.layers.{}.mlp.shared_expert.down_proj",
}
_EXPERT_SETTINGS = _DECODER_SETTINGS | {
    "num_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "shared_expert_intermediate_size": "expert_shared_feed_forward_length",
}
_LATENT_TENSORS = {
    **{
        name: ours for name, ours in _EXPERT_TENSORS.items() if name not in ("blk.{}.attn_k", "blk.{}.attn_v")
    },
    "blk.{}.attn_q_a": "model.layers.{}.self_attn.q_a_proj",
    "blk.{}.attn_q_a_norm": "model.layers.{}.self_attn.q_a_layernorm",
    "blk.{}.attn_q_b": "model.layers.{}.self_attn.q_b_proj",
    "blk.{}.attn_kv_a_mqa": "model.layers.{}.self_attn.kv_a_proj_with_mqa",
    "blk.{}.attn_kv_a_norm": "model.layers.{}.self_attn.kv_a_layernorm",
    "blk.{}.attn_kv_b": "model.layers.{}.self_attn.kv_b_proj",
    "blk.{}.attn_k_b": "model.layers.{}.self_attn.kv_b_proj.keys",
    "blk.{}.attn_v_b": "model.layers.{}.self_attn.kv_b_proj.values",
    "blk.{}.exp_probs_b.bias": "model.layers.{}.mlp.gate.e_score_correction_bias",
    "blk.{}.ffn_gate_shexp": "model.layers.{}.mlp.shared_experts.gate_proj",
    "blk.{}.ffn_up_shexp": "model.layers.{}.mlp.shared_experts.up_proj",
    "blk.{}.ffn_down_shexp": "model.layers.{}.mlp.shared_experts.down_proj",
}
_LATENT_SETTINGS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
    "q_lora_rank": "attention.q_lora_rank",
    "kv_lora_rank": "attention.kv_lora_rank",
    "qk_rope_head_dim": "rope.dimension_count",
    "first_k_dense_replace": "leading_dense_block_count",
    "n_routed_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "n_shared_experts": "expert_shared_count",
    "n_group": "expert_group_count",
    "topk_group": "expert_group_used_count",
}

EXPERT_ARCHITECTURES = {
    one.name: one
    for one in (
        Architecture(
            "llama",
            "mixtral",
            ("MixtralForCausalLM",),
            _EXPERT_TENSORS,
            _EXPERT_SETTINGS,
            {"hidden_act": "silu"},
            interleaved=True,
        ),
        Architecture(
            "qwen2moe",
            "qwen2_moe",
            ("Qwen2MoeForCausalLM",),
            _EXPERT_TENSORS | _SHARED_EXPERT,
            _EXPERT_SETTINGS,
            {"hidden_act": "silu", "norm_topk_prob": False},
        ),
        Architecture(
            "qwen3moe",
            "qwen3_moe",
            ("Qwen3MoeForCausalLM",),
            _EXPERT_TENSORS | _HEAD_NORMS,
            _EXPERT_SETTINGS,
            {"hidden_act": "silu", "attention_bias": False, "norm_topk_prob": True},
        ),
        Architecture(
            "deepseek2",
            "deepseek_v2",
            ("DeepseekV2ForCausalLM",),
            _LATENT_TENSORS,
            _LATENT_SETTINGS,
            {"hidden_act": "silu", "attention_bias": False},
        ),
    )
}
"""Architectures with experts, which can be read, by their name in GGUF."""


def architecture(name: object, path: object, *, experts: bool = False) -> Architecture:
    """The architecture of this name; `experts`: of a file that has some.

    Raises:
        WeightError: there is none.
    """
    known = EXPERT_ARCHITECTURES if experts else ARCHITECTURES
    if not isinstance(name, str) or name not in known:
        raise WeightError(
            f"{path}: general.architecture is {name!r}{' with experts' if experts else ''}; "
            f"{', '.join(known)} can be converted"
        )
    return known[name]
