"""A Llama decoder in NumPy, float64: the slow oracle of what its weights mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def logits(config: dict[str, Any], weight: Callable[[str], np.ndarray], tokens: list[int]) -> np.ndarray:
    """Logits [tokens, vocabulary] for Hugging Face names; heads are rotated by halves."""
    heads, keys, size = (config[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    x = weight("model.embed_tokens.weight").astype(np.float64)[tokens]
    angles = np.outer(
        np.arange(len(tokens)), config["rope_theta"] ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    )
    for block in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{block}"

        def linear(name: str, values: np.ndarray, prefix: str = prefix) -> np.ndarray:
            return values @ weight(f"{prefix}.{name}.weight").astype(np.float64).T

        h = norm(x, weight(f"{prefix}.input_layernorm.weight"), config["rms_norm_eps"])
        q = rotated(linear("self_attn.q_proj", h).reshape(len(tokens), heads, size), angles)
        k = rotated(linear("self_attn.k_proj", h).reshape(len(tokens), keys, size), angles)
        v = linear("self_attn.v_proj", h).reshape(len(tokens), keys, size)
        x = x + linear("self_attn.o_proj", attention(q, k, v))
        h = norm(x, weight(f"{prefix}.post_attention_layernorm.weight"), config["rms_norm_eps"])
        gate = linear("mlp.gate_proj", h)
        x = x + linear("mlp.down_proj", gate / (1 + np.exp(-gate)) * linear("mlp.up_proj", h))
    head = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
    return norm(x, weight("model.norm.weight"), config["rms_norm_eps"]) @ weight(head).astype(np.float64).T


def loss(found: np.ndarray, tokens: list[int]) -> float:
    """Mean negative log likelihood per token, in nats."""
    shifted = found[:-1] - found[:-1].max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(tokens) - 1), tokens[1:]]
    return float((np.log(np.exp(shifted).sum(axis=1)) - chosen).mean())


def norm(x: np.ndarray, weight: np.ndarray, epsilon: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon) * weight


def rotated(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    low, high = np.split(x, 2, axis=-1)
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return np.concatenate([low * cosine - high * sine, high * cosine + low * sine], axis=-1)


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Causal; query heads share key heads in turn."""
    count, heads, size = q.shape
    k, v = (np.repeat(one, heads // one.shape[1], axis=1) for one in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size)
    scores[:, np.triu(np.ones((count, count), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, v).reshape(count, -1)
