"""Metadata of a GGUF file -> config.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arrowmind.errors import WeightError
from arrowmind.weights.configuration import KEY
from arrowmind.weights.gguf.deepseek import deepseek_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from arrowmind.weights.gguf.architectures import Architecture
    from arrowmind.weights.gguf.metadata import GgufMetadata

__all__ = ["head_counts", "read_settings"]

_REQUIRED = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_TOKENS = {"bos_token_id": "bos", "eos_token_id": "eos", "pad_token_id": "padding"}
_POOLING = {1: "mean", 2: "cls"}
_TOKEN_COUNT_LIMIT = 1 << 31


def read_settings(
    architecture: Architecture,
    metadata: GgufMetadata,
    shapes: Mapping[str, tuple[int, ...]],
    rope_factors: npt.NDArray[np.float32] | None = None,
) -> dict[str, Any]:
    """The config.json that the metadata describe; what only we need stands under ``arrowmind``.

    Args:
        architecture: of the model.
        metadata: of the file.
        shapes: of its tensors, by GGUF name.
        rope_factors: the values of ``rope_freqs.weight``, if there is one.

    Raises:
        WeightError: a value is missing or has the wrong type.
    """
    config: dict[str, Any] = {
        "model_type": architecture.model_type,
        "architectures": list(architecture.classes),
    }
    for key, theirs in architecture.settings.items():
        full = f"{architecture.name}.{theirs}"
        if full in metadata or key in _REQUIRED:
            is_real = key.endswith("eps") or key == "rope_theta"
            config[key] = metadata.number(full) if is_real else metadata.integer(full)
    config |= architecture.constants
    table = shapes.get("token_embd.weight", ())
    if table:
        config["vocab_size"] = table[0]
    if architecture.name == "bert":
        config |= _encoder(shapes)
    else:
        config |= _decoder(architecture, metadata, shapes, config)
    if architecture.name == "deepseek2":
        config |= deepseek_settings(metadata, config)
    for key, theirs in _TOKENS.items():
        token = metadata.token(f"tokenizer.ggml.{theirs}_token_id", _TOKEN_COUNT_LIMIT)
        if token is not None:
            config[key] = token
    return config | {KEY: _own(architecture, metadata, config, rope_factors)}


def head_counts(architecture: Architecture, metadata: GgufMetadata) -> dict[str, int]:
    """Heads of query and key, by the name of their tensor in a block."""
    heads = metadata.integer(f"{architecture.name}.attention.head_count")
    keys = metadata.integer(f"{architecture.name}.attention.head_count_kv", heads)
    return {"attn_q": heads, "attn_k": keys}


def _encoder(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    types = shapes.get("token_types.weight", (2,))
    return {"type_vocab_size": types[0]}


def _decoder(
    architecture: Architecture,
    metadata: GgufMetadata,
    shapes: Mapping[str, tuple[int, ...]],
    config: Mapping[str, Any],
) -> dict[str, Any]:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    if heads < 1:
        raise WeightError(f"{metadata.path}: {architecture.name}.attention.head_count is {heads}")
    result = {
        "num_key_value_heads": config.get("num_key_value_heads", heads),
        "head_dim": config.get("head_dim", hidden // heads),
        "rope_theta": config.get("rope_theta", 10000.0),
        "tie_word_embeddings": "output.weight" not in shapes,
    }
    scaling = metadata.get(f"{architecture.name}.rope.scaling.type")
    if scaling not in (None, "none"):
        prefix = f"{architecture.name}.rope.scaling"
        result["rope_scaling"] = {
            "rope_type": metadata.text(f"{prefix}.type"),
            "factor": metadata.number(f"{prefix}.factor", 1.0),
        }
        if f"{prefix}.original_context_length" in metadata:
            original = metadata.integer(f"{prefix}.original_context_length")
            result["rope_scaling"]["original_max_position_embeddings"] = original
    return result


def _own(
    architecture: Architecture,
    metadata: GgufMetadata,
    config: Mapping[str, Any],
    rope_factors: npt.NDArray[np.float32] | None,
) -> dict[str, Any]:
    """What config.json has no key for: pooling, chat template, factors of the rotation."""
    own: dict[str, Any] = {}
    if architecture.name == "bert":
        kind = metadata.integer("bert.pooling_type", 1)
        if kind not in _POOLING:
            raise WeightError(
                f"{metadata.path}: bert.pooling_type is {kind}; 1 (mean) and 2 (cls) are served"
            )
        own |= {"pooling": _POOLING[kind], "normalize": True}
    if "max_position_embeddings" in config:
        own["max_tokens"] = config["max_position_embeddings"]
    if "tokenizer.chat_template" in metadata:
        own["chat_template"] = metadata.text("tokenizer.chat_template")
    if rope_factors is not None:
        own["rope_factors"] = [float(str(value)) for value in rope_factors]
    return own
