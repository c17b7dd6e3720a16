"""Feed-forwards with experts in NumPy float64, family by family, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.reference.route import route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Linear = Callable[[np.ndarray, str], np.ndarray]

OLD = ("w1", "w3", "w2")
NEW = ("gate_proj", "up_proj", "down_proj")


def matrices(config: Mapping[str, Any], block: int) -> list[tuple[str, int, int]]:
    """Names, rows and columns of a block's matrices, without the layer; none for a block without experts."""
    hidden, kind = config["hidden_size"], config["model_type"]
    inner = config.get("moe_intermediate_size", 0)
    if kind == "mixtral":
        count, inner = config["num_local_experts"], config["intermediate_size"]
        return [("block_sparse_moe.gate", count, hidden), *_of("block_sparse_moe", count, hidden, inner, OLD)]
    if kind in ("qwen2_moe", "qwen3_moe"):
        step = config.get("decoder_sparse_step", 1)
        if block in config.get("mlp_only_layers", []) or (block + 1) % step:
            return []
        count = config["num_experts"]
        found = [
            ("mlp.gate", count, hidden),
            *_of("mlp", count, hidden, inner, NEW),
        ]
        if kind == "qwen2_moe":
            found += _gated("mlp.shared_expert", hidden, config["shared_expert_intermediate_size"], NEW)
            found.append(("mlp.shared_expert_gate", 1, hidden))
        return found
    if kind.startswith("deepseek") and block >= config["first_k_dense_replace"]:
        count = config["n_routed_experts"]
        shared = _gated("mlp.shared_experts", hidden, inner * config["n_shared_experts"], NEW)
        return [("mlp.gate", count, hidden), *_of("mlp", count, hidden, inner, NEW), *shared]
    return []


def feed_forward(
    config: Mapping[str, Any], linear: Linear, x: np.ndarray, key: str, bias: np.ndarray | None = None
) -> np.ndarray:
    """What the experts, and what all tokens pass, make of rows x."""
    if config["model_type"] == "mixtral":
        # As its authors have it: the best logits, then a softmax over them.
        logits, parts, place = linear(x, f"{key}.block_sparse_moe.gate"), OLD, "block_sparse_moe"
        chosen, _ = route(logits, config["num_experts_per_tok"])
        best = np.exp(np.take_along_axis(logits, chosen, axis=1))
        weights = best / best.sum(axis=1, keepdims=True)
    else:
        logits, parts, place = linear(x, f"{key}.mlp.gate"), NEW, "mlp"
        chosen, weights = route(logits, config["num_experts_per_tok"], **_options(config, bias))
    out = np.zeros_like(x)
    for row, (experts, shares) in enumerate(zip(chosen, weights, strict=True)):
        for expert, share in zip(experts, shares, strict=True):
            out[row] += share * _swiglu(linear, x[row : row + 1], f"{key}.{place}.experts.{expert}", parts)[0]
    if config["model_type"] == "qwen2_moe":
        gate = 1 / (1 + np.exp(-linear(x, f"{key}.mlp.shared_expert_gate")))
        out += gate * _swiglu(linear, x, f"{key}.mlp.shared_expert", NEW)
    if config["model_type"].startswith("deepseek"):
        out += _swiglu(linear, x, f"{key}.mlp.shared_experts", NEW)
    return out


def _options(config: Mapping[str, Any], bias: np.ndarray | None) -> dict[str, Any]:
    kind = config["model_type"]
    if not kind.startswith("deepseek"):
        return {"normalised": config["norm_topk_prob"]}
    options = {"factor": config["routed_scaling_factor"]}
    if "n_group" in config:
        options |= {"groups": config["n_group"], "kept": config["topk_group"]}
    if kind == "deepseek_v3":
        options |= {"score": "sigmoid", "bias": bias, "normalised": config["norm_topk_prob"]}
        options |= {"group_score": "two-largest"}
    return options


def _swiglu(linear: Linear, x: np.ndarray, key: str, parts: tuple[str, str, str]) -> np.ndarray:
    gate = linear(x, f"{key}.{parts[0]}")
    return linear(gate / (1 + np.exp(-gate)) * linear(x, f"{key}.{parts[1]}"), f"{key}.{parts[2]}")


def _of(place: str, count: int, hidden: int, inner: int, parts: tuple[str, str, str]) -> list[Any]:
    return [matrix for e in range(count) for matrix in _gated(f"{place}.experts.{e}", hidden, inner, parts)]


def _gated(name: str, hidden: int, inner: int, parts: tuple[str, str, str]) -> list[tuple[str, int, int]]:
    gate, up, down = (f"{name}.{part}" for part in parts)
    return [(gate, inner, hidden), (up, inner, hidden), (down, hidden, inner)]
