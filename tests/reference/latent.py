"""Attention over latent rows in NumPy float64, head by head, as the paper has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.reference import llama
from tests.reference.attention import visible

if TYPE_CHECKING:
    from collections.abc import Mapping


def matrices(config: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Names, rows and columns of an attention's matrices but for the last; none for other families."""
    if not config["model_type"].startswith("deepseek"):
        return []
    hidden, heads, rank = (config[key] for key in ("hidden_size", "num_attention_heads", "kv_lora_rank"))
    plain, turned, value = _sizes(config)
    query, low = heads * (plain + turned), config.get("q_lora_rank")
    return [
        *(
            [("q_proj", query, hidden)]
            if low is None
            else [("q_a_proj", low, hidden), ("q_b_proj", query, low)]
        ),
        ("kv_a_proj_with_mqa", rank + turned, hidden),
        ("kv_b_proj", heads * (plain + value), rank),
    ]


def norms(config: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Names and widths of its norms."""
    if not config["model_type"].startswith("deepseek"):
        return []
    low = config.get("q_lora_rank")
    return [*([] if low is None else [("q_a_layernorm", low)]), ("kv_a_layernorm", config["kv_lora_rank"])]


def attention(
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    x: np.ndarray,
    key: str,
    angles: np.ndarray,
    loud: float,
) -> np.ndarray:
    """What the attention called `key` makes of rows x; `angles` are those of the columns that turn."""
    plain, turned, value = _sizes(config)
    heads, rank, tokens = config["num_attention_heads"], config["kv_lora_rank"], len(x)

    def linear(rows: np.ndarray, name: str) -> np.ndarray:
        return rows @ weights[f"{key}.{name}.weight"].T

    def norm(rows: np.ndarray, name: str) -> np.ndarray:
        return llama.norm(rows, weights[f"{key}.{name}.weight"], 1e-6)

    low = config.get("q_lora_rank") is not None
    query = linear(norm(linear(x, "q_a_proj"), "q_a_layernorm"), "q_b_proj") if low else linear(x, "q_proj")
    query = query.reshape(tokens, heads, plain + turned)
    short = linear(x, "kv_a_proj_with_mqa")
    unfolded = linear(norm(short[:, :rank], "kv_a_layernorm"), "kv_b_proj").reshape(tokens, heads, -1)
    turn = _neighbours if config.get("rope_interleave", True) else llama.rotated
    key_turned = turn(short[:, None, rank:], angles)[:, 0] * loud
    scale = (plain + turned) ** -0.5 * _score_factor(config)
    out = np.empty((tokens, heads, value))
    for head in range(heads):
        query_turned = turn(query[:, head : head + 1, plain:], angles)[:, 0] * loud
        scores = query[:, head, :plain] @ unfolded[:, head, :plain].T + query_turned @ key_turned.T
        scores = np.where(visible(tokens, 0), scores * scale, -np.inf)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, head] = shares / shares.sum(axis=1, keepdims=True) @ unfolded[:, head, plain:]
    return linear(out.reshape(tokens, -1), "o_proj")


def _sizes(config: Mapping[str, Any]) -> tuple[int, int, int]:
    return config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]


def _neighbours(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Columns 2 i and 2 i + 1 as the parts of a complex number that turns."""
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[:, None]
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


def _score_factor(config: Mapping[str, Any]) -> float:
    scaling = config.get("rope_scaling") or {}
    return (0.1 * scaling.get("mscale_all_dim", 0) * np.log(scaling.get("factor", 1)) + 1) ** 2
