"""Decoders in NumPy float64, from their config.json and tensors: slow, plain, independent of the native code.

Each family stands here in its own words, so that a mistake in the shared block of the package shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.reference import experts, latent, llama
from tests.reference.attention import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMON = {
    "hidden_size": 48,
    "intermediate_size": 72,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 67,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}
GEMMA = {
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
    "head_dim": 20,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **COMMON, "head_dim": 12},
    "llama3": {"model_type": "llama", **COMMON, "rope_scaling": LLAMA3, "rope_theta": 500.0},
    "llama-yarn": {"model_type": "llama", **COMMON, "rope_scaling": YARN},
    "llama-linear": {"model_type": "llama", **COMMON, "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "mistral": {"model_type": "mistral", **COMMON, "sliding_window": 5},
    "qwen2": {"model_type": "qwen2", **COMMON, "tie_word_embeddings": True},
    "qwen2-window": {
        "model_type": "qwen2",
        **COMMON,
        "use_sliding_window": True,
        "sliding_window": 4,
        "max_window_layers": 1,
    },
    "qwen3": {"model_type": "qwen3", **COMMON, "head_dim": 20},
    "gemma": {"model_type": "gemma", **COMMON, **GEMMA},
    "gemma2": {
        "model_type": "gemma2",
        **COMMON,
        **GEMMA,
        "query_pre_attn_scalar": 12,
        "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 3.0,
        "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "gemma3": {
        "model_type": "gemma3_text",
        **COMMON,
        **GEMMA,
        "query_pre_attn_scalar": 12,
        "sliding_window": 4,
        "rope_local_base_freq": 500.0,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
}

QWEN_MOE = {"num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 24}
CONFIGS |= {
    "mixtral": {
        "model_type": "mixtral",
        **COMMON,
        "num_local_experts": 5,
        "num_experts_per_tok": 2,
        "sliding_window": None,
    },
    "qwen2-moe": {
        "model_type": "qwen2_moe",
        **COMMON,
        **QWEN_MOE,
        "head_dim": 12,
        "num_key_value_heads": 4,
        "shared_expert_intermediate_size": 40,
        "decoder_sparse_step": 2,
        "norm_topk_prob": False,
    },
    "qwen3-moe": {
        "model_type": "qwen3_moe",
        **COMMON,
        **QWEN_MOE,
        "head_dim": 20,
        "mlp_only_layers": [1],
        "norm_topk_prob": True,
    },
}

LATENT = {
    "head_dim": 8,
    "num_key_value_heads": 4,
    "first_k_dense_replace": 1,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 24,
    "kv_lora_rank": 20,
    "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
}
CONFIGS |= {
    "deepseek-lite": {
        "model_type": "deepseek_v2",
        **COMMON,
        **LATENT,
        "q_lora_rank": None,
        "n_shared_experts": 2,
        "topk_method": "greedy",
        "routed_scaling_factor": 1.0,
        "rope_scaling": {**YARN, "mscale": 0.707, "mscale_all_dim": 0.5},
    },
    "deepseek-v2": {
        "model_type": "deepseek_v2",
        **COMMON,
        **LATENT,
        "n_shared_experts": 1,
        "q_lora_rank": 28,
        "v_head_dim": 20,
        "topk_method": "group_limited_greedy",
        "n_group": 4,
        "topk_group": 2,
        "routed_scaling_factor": 4.0,
    },
    "deepseek-v3": {
        "model_type": "deepseek_v3",
        **COMMON,
        **LATENT,
        "n_shared_experts": 1,
        "q_lora_rank": 28,
        "n_group": 4,
        "topk_group": 2,
        "routed_scaling_factor": 2.5,
        "norm_topk_prob": True,
        "rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0},
    },
    "deepseek-v3-halves": {
        "model_type": "deepseek_v3",
        **COMMON,
        **LATENT,
        "q_lora_rank": None,
        "n_shared_experts": 1,
        "n_group": 2,
        "topk_group": 1,
        "routed_scaling_factor": 1.0,
        "norm_topk_prob": False,
        "rope_interleave": False,
    },
}


def random_weights(config: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Float32 weights under Hugging Face's names."""
    rng = np.random.default_rng(seed)
    kind = config["model_type"]
    hidden, inner, size = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    centre = 0.0 if kind.startswith("gemma") else 1.0
    weights = {}

    def matrix(name: str, rows: int, columns: int) -> None:
        weights[f"{name}.weight"] = rng.normal(0, columns**-0.5, (rows, columns))

    def norm(name: str, width: int) -> None:
        weights[f"{name}.weight"] = rng.normal(centre, 0.1, width)

    weights["model.embed_tokens.weight"] = rng.normal(0, 1.0, (config["vocab_size"], hidden))
    for block in range(config["num_hidden_layers"]):
        key = f"model.layers.{block}"
        for name, rows, columns in latent.matrices(config):
            matrix(f"{key}.self_attn.{name}", rows, columns)
        for name, width in latent.norms(config):
            norm(f"{key}.self_attn.{name}", width)
        for part, rows in () if kind.startswith("deepseek") else (("q", heads), ("k", keys), ("v", keys)):
            matrix(f"{key}.self_attn.{part}_proj", rows * size, hidden)
            if kind in ("qwen2", "qwen2_moe"):
                weights[f"{key}.self_attn.{part}_proj.bias"] = rng.normal(0, 0.5, rows * size)
        matrix(f"{key}.self_attn.o_proj", hidden, heads * config.get("v_head_dim", size))
        if kind in ("qwen3", "qwen3_moe", "gemma3_text"):
            norm(f"{key}.self_attn.q_norm", size)
            norm(f"{key}.self_attn.k_norm", size)
        for name, rows, columns in experts.matrices(config, block) or (
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ):
            matrix(f"{key}.{name}", rows, columns)
        if kind == "deepseek_v3" and experts.matrices(config, block):
            bias = rng.uniform(0, 0.3, config["n_routed_experts"])
            weights[f"{key}.mlp.gate.e_score_correction_bias"] = bias
        norm(f"{key}.input_layernorm", hidden)
        norm(f"{key}.post_attention_layernorm", hidden)
        if kind in ("gemma2", "gemma3_text"):
            norm(f"{key}.pre_feedforward_layernorm", hidden)
            norm(f"{key}.post_feedforward_layernorm", hidden)
    norm("model.norm", hidden)
    if not config["tie_word_embeddings"]:
        matrix("lm_head", config["vocab_size"], hidden)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def logits(config: Mapping[str, Any], weights: Mapping[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """Logits [tokens, vocabulary]."""
    return _Forward(config, weights).logits(tokens)


class _Forward:
    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        self.config, self.kind = config, config["model_type"]
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.gemma = self.kind.startswith("gemma")

    def logits(self, tokens: list[int]) -> np.ndarray:
        x = self.weights["model.embed_tokens.weight"][tokens]
        if self.gemma:
            x = x * self.config["hidden_size"] ** 0.5
        for block in range(self.config["num_hidden_layers"]):
            x = self.block(x, block)
        tied = self.config["tie_word_embeddings"]
        head = self.weights["model.embed_tokens.weight" if tied else "lm_head.weight"]
        found = self.norm(x, "model.norm") @ head.T
        cap = self.config.get("final_logit_softcapping")
        return cap * np.tanh(found / cap) if cap else found

    def block(self, x: np.ndarray, block: int) -> np.ndarray:
        key = f"model.layers.{block}"
        attended = self.attention(self.norm(x, f"{key}.input_layernorm"), f"{key}.self_attn", block)
        if self.kind in ("gemma2", "gemma3_text"):
            x = x + self.norm(attended, f"{key}.post_attention_layernorm")
            fed = self.feed_forward(self.norm(x, f"{key}.pre_feedforward_layernorm"), f"{key}.mlp")
            return x + self.norm(fed, f"{key}.post_feedforward_layernorm")
        x = x + attended
        normed = self.norm(x, f"{key}.post_attention_layernorm")
        if experts.matrices(self.config, block):
            bias = self.weights.get(f"{key}.mlp.gate.e_score_correction_bias")
            return x + experts.feed_forward(self.config, self.linear, normed, key, bias)
        return x + self.feed_forward(normed, f"{key}.mlp")

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        weight = self.weights[f"{name}.weight"] + (1.0 if self.gemma else 0.0)
        return llama.norm(x, weight, self.config["rms_norm_eps"])

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0.0)

    def feed_forward(self, x: np.ndarray, key: str) -> np.ndarray:
        gate = self.linear(x, f"{key}.gate_proj")
        if self.gemma:
            bent = 0.5 * gate * (1 + np.tanh((2 / np.pi) ** 0.5 * (gate + 0.044715 * gate**3)))
        else:
            bent = gate / (1 + np.exp(-gate))
        return self.linear(bent * self.linear(x, f"{key}.up_proj"), f"{key}.down_proj")

    def window(self, block: int) -> int:
        if self.kind == "mistral":
            return self.config["sliding_window"]
        if self.kind == "qwen2":
            first = self.config.get("max_window_layers", 1000)
            return self.config["sliding_window"] if block >= first else 0
        kinds = self.config.get("layer_types")
        return self.config["sliding_window"] if kinds and kinds[block] == "sliding_attention" else 0

    def attention(self, x: np.ndarray, key: str, block: int) -> np.ndarray:
        if self.kind.startswith("deepseek"):
            angles, loud = self.angles(len(x), 0)
            return latent.attention(self.config, self.weights, x, key, angles, loud)
        size, tokens = self.config["head_dim"], len(x)
        q, k, v = (self.linear(x, f"{key}.{part}_proj").reshape(tokens, -1, size) for part in "qkv")
        if self.kind in ("qwen3", "qwen3_moe", "gemma3_text"):
            q, k = self.norm(q, f"{key}.q_norm"), self.norm(k, f"{key}.k_norm")
        angles, loud = self.angles(tokens, self.window(block))
        q, k = (llama.rotated(one, angles) * loud for one in (q, k))
        k, v = (np.repeat(one, q.shape[1] // one.shape[1], axis=1) for one in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) * self.config.get("query_pre_attn_scalar", size) ** -0.5
        cap = self.config.get("attn_logit_softcapping")
        scores = cap * np.tanh(scores / cap) if cap else scores
        scores = np.where(visible(tokens, self.window(block)), scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return self.linear(np.einsum("hqk,khd->qhd", shares, v).reshape(tokens, -1), f"{key}.o_proj")

    def angles(self, tokens: int, window: int) -> tuple[np.ndarray, float]:
        size, theta = self.config["head_dim"], self.config["rope_theta"]
        if self.kind == "gemma3_text" and window:
            theta = self.config["rope_local_base_freq"]
        frequencies, loud = theta ** (-np.arange(0, size, 2) / size), 1.0
        scaling = self.config.get("rope_scaling") or {}
        if scaling.get("rope_type") == "linear":
            frequencies = frequencies / scaling["factor"]
        if scaling.get("rope_type") == "llama3":
            frequencies = np.array([_llama3(value, scaling) for value in frequencies])
        if scaling.get("rope_type") == "yarn":
            frequencies, loud = _yarn(frequencies, theta, scaling)
        return np.outer(np.arange(tokens), frequencies), loud


def _llama3(frequency: float, scaling: Mapping[str, Any]) -> float:
    """One by one, as the paper's authors wrote it."""
    length = scaling["original_max_position_embeddings"]
    wave = 2 * np.pi / frequency
    if wave < length / scaling["high_freq_factor"]:
        return frequency
    if wave > length / scaling["low_freq_factor"]:
        return frequency / scaling["factor"]
    smooth = (length / wave - scaling["low_freq_factor"]) / (
        scaling["high_freq_factor"] - scaling["low_freq_factor"]
    )
    return (1 - smooth) * frequency / scaling["factor"] + smooth * frequency


def _yarn(frequencies: np.ndarray, theta: float, scaling: Mapping[str, Any]) -> tuple[np.ndarray, float]:
    size, length = 2 * len(frequencies), scaling["original_max_position_embeddings"]

    def pair(turns: float) -> float:
        return size * np.log(length / (turns * 2 * np.pi)) / (2 * np.log(theta))

    low, high = max(np.floor(pair(32.0)), 0), min(np.ceil(pair(1.0)), size - 1)
    kept = 1 - np.clip((np.arange(len(frequencies)) - low) / (high - low), 0, 1)
    mixed = frequencies / scaling["factor"] * (1 - kept) + frequencies * kept
    log = 0.1 * np.log(scaling["factor"])
    return mixed, (log * scaling.get("mscale", 1) + 1) / (log * scaling.get("mscale_all_dim", 0) + 1)
