"""What GGUF files of the DeepSeek families say otherwise than others: sizes of latent attention, routers.

Newer files keep the matrix that unfolds latent rows in two, transposed the one that goes to the queries; here
it is put together again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import WeightError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    from arrowmind.weights.gguf.metadata import GgufMetadata

    Shape: TypeAlias = tuple[int, ...]

__all__ = ["KEY_PART", "VALUE_PART", "deepseek_settings", "join_halves", "joined_shape", "take_halves"]

KEY_PART, VALUE_PART = "kv_b_proj.keys.weight", "kv_b_proj.values.weight"
"""Names of the two matrices, behind that of their attention; no model has such."""

_WHOLE = "kv_b_proj.weight"
_SOFTMAX, _SIGMOID = 1, 2
# GGUF holds a tenth of the factor that the configuration has.
_LOG_MULTIPLIER = 10


def deepseek_settings(metadata: GgufMetadata, config: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of config.json that follow from several of the metadata.

    Args:
        metadata: of a file of the architecture `deepseek2`.
        config: what was found so far.

    Raises:
        WeightError: a value is missing, of the wrong type, or of a router that is not known.
    """
    turned = config.get("qk_rope_head_dim", 0)
    key = metadata.integer(f"deepseek2.attention.key_length{_suffix(metadata)}")
    if not 0 < turned < key:
        raise WeightError(
            f"{metadata.path}: deepseek2.rope.dimension_count is {turned}, of keys of {key} columns"
        )
    result = {
        "qk_nope_head_dim": key - turned,
        "v_head_dim": metadata.integer(f"deepseek2.attention.value_length{_suffix(metadata)}"),
        "head_dim": turned,
        "num_key_value_heads": config["num_attention_heads"],
        "first_k_dense_replace": config.get("first_k_dense_replace", 0),
        "n_shared_experts": config.get("n_shared_experts", 0),
        "routed_scaling_factor": metadata.number("deepseek2.expert_weights_scale", 1.0),
        "norm_topk_prob": bool(metadata.get("deepseek2.expert_weights_norm")),
        **_groups(config),
        **_router(metadata, config),
    }
    multiplier = metadata.number("deepseek2.rope.scaling.yarn_log_multiplier", 0.0)
    if multiplier and "rope_scaling" in config:
        factor = _LOG_MULTIPLIER * multiplier
        result["rope_scaling"] = {**config["rope_scaling"], "mscale": factor, "mscale_all_dim": factor}
    return result


def _suffix(metadata: GgufMetadata) -> str:
    """Files that keep two matrices have the columns of unfolded keys and values under names of their own."""
    return "_mla" if "deepseek2.attention.key_length_mla" in metadata else ""


def _groups(config: Mapping[str, Any]) -> dict[str, int]:
    """Groups of experts; files without a word of them are read as their readers do: all are one."""
    return {"n_group": config.get("n_group") or 1, "topk_group": config.get("topk_group") or 1}


def _router(metadata: GgufMetadata, config: Mapping[str, Any]) -> dict[str, Any]:
    kind = metadata.integer("deepseek2.expert_gating_func", _SOFTMAX) or _SOFTMAX
    if kind == _SIGMOID:
        return {
            "model_type": "deepseek_v3",
            "architectures": ["DeepseekV3ForCausalLM"],
            "scoring_func": "sigmoid",
            "topk_method": "noaux_tc",
        }
    if kind != _SOFTMAX:
        raise WeightError(
            f"{metadata.path}: deepseek2.expert_gating_func is {kind}; 1 (softmax) and 2 (sigmoid) are served"
        )
    is_grouped = (config.get("n_group") or 1) > 1
    return {"scoring_func": "softmax", "topk_method": "group_limited_greedy" if is_grouped else "greedy"}


def take_halves(stored: dict[str, str], path: object) -> dict[str, tuple[str, str]]:
    """Takes the two matrices out of the names of a file.

    Args:
        stored: GGUF name by that of the model; loses both where they are.
        path: for errors.

    Returns:
        For each matrix that is to be put together the GGUF names of keys and values.

    Raises:
        WeightError: one of two is missing.
    """
    found = {}
    for name in [name for name in stored if name.endswith((KEY_PART, VALUE_PART))]:
        place = name.removesuffix(KEY_PART).removesuffix(VALUE_PART)
        if place + _WHOLE in found:
            continue
        keys, values = stored.get(place + KEY_PART), stored.get(place + VALUE_PART)
        if keys is None or values is None:
            raise WeightError(
                f"{path}: of attn_k_b and attn_v_b of a block one is missing; download it again"
            )
        found[place + _WHOLE] = keys, values
    for name in found:
        place = name.removesuffix(_WHOLE)
        del stored[place + KEY_PART], stored[place + VALUE_PART]
    return {name: parts for name, parts in found.items() if name not in stored}


def joined_shape(keys: Shape, values: Shape, path: object) -> Shape:
    """Of the whole matrix, [heads * (plain + value), rank].

    Args:
        keys: shape of the first, [heads, rank, plain].
        values: of the second, [heads, value, rank].
        path: for errors.

    Raises:
        WeightError: they do not go together.
    """
    if len(keys) != 3 or len(values) != 3 or keys[0] != values[0] or keys[1] != values[2]:
        raise WeightError(
            f"{path}: attn_k_b {list(keys)} and attn_v_b {list(values)} do not go together; "
            "[heads, rank, columns] and [heads, columns, rank] are needed"
        )
    return keys[0] * (keys[2] + values[1]), keys[1]


def join_halves(keys: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The whole matrix of both."""
    joined: NDArray[np.float32] = np.concatenate([keys.swapaxes(1, 2), values], axis=1)
    return joined.reshape(-1, values.shape[2])
