"""What a tensor is for, by its name and shape; decides its layout and whether it is quantised."""

from __future__ import annotations

import re
from typing import Literal

__all__ = [
    "INPUT_SCALE",
    "Role",
    "input_scale_name",
    "is_like_a_table",
    "is_router",
    "join_name",
    "role_of",
    "split_name",
    "storage_order",
]

Role = Literal["linear", "table", "vector"]

INPUT_SCALE = "input_scale"
"""Weight name of a vector [n_in] that multiplies what enters a linear layer: y = W (x * input_scale) + b."""

_TABLE = re.compile(r"embed|\bwte\b|\bwpe\b")
_PATCHES = re.compile(r"(^|\.)patch_embedding\.weight$")  # multiplied, not looked up
_HEAD = re.compile(r"(^|\.)lm_head\.weight$")
_ROUTER = re.compile(r"(^|\.)((mlp|block_sparse_moe)\.gate|shared_expert_gate)\.weight$")
_EXPERT = "experts"
# Query, key and value of one block follow each other, so that their panels can be read as one matrix; the
# matrices of an expert, in the order in which they are used, so that it is one piece of the file.
_PROJECTION_ORDER = {"query": "0", "q_proj": "0", "key": "1", "k_proj": "1", "value": "2", "v_proj": "2"}
_EXPERT_ORDER = {"gate_proj": "0", "w1": "0", "up_proj": "1", "w3": "1", "down_proj": "2", "w2": "2"}


def role_of(name: str, shape: tuple[int, ...]) -> Role:
    """The role of a tensor.

    Returns:
        ``linear`` for the matrix [n_out, n_in] of a linear layer, ``table`` for one whose rows are looked up,
        ``vector`` for everything else (biases, norms).
    """
    if len(shape) != 2 or not name.endswith("weight"):
        return "vector"
    return "table" if _TABLE.search(name) and not _PATCHES.search(name) else "linear"


def is_like_a_table(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor has a row per token: a table of embeddings, or an output head."""
    return role_of(name, shape) == "table" or (len(shape) == 2 and bool(_HEAD.search(name)))


def is_router(name: str) -> bool:
    """Whether a tensor is a matrix that decides where a token goes: it stays as exact as it was."""
    return bool(_ROUTER.search(name))


def split_name(name: str) -> tuple[str, str]:
    """``encoder.layer.0.output.dense.weight`` -> (``encoder.layer.0.output.dense``, ``weight``)."""
    layer, _, weight = name.rpartition(".")
    return layer, weight


def input_scale_name(matrix: str) -> str:
    """The tensor that would hold the input scale of the layer with this matrix."""
    return join_name(split_name(matrix)[0], INPUT_SCALE)


def join_name(layer: str, weight: str) -> str:
    """The inverse of :func:`split_name`."""
    return f"{layer}.{weight}" if layer else weight


def storage_order(name: str) -> tuple[object, ...]:
    """Sort key of tensors in a file: matrices of one block side by side, numbers by value, vectors last.

    Experts lie behind all others: what a large model keeps in memory is one piece of its file.
    """
    layer, weight = split_name(name)
    pieces = layer.split(".")
    is_expert = _EXPERT in pieces
    order = _EXPERT_ORDER if is_expert else _PROJECTION_ORDER
    parts = [order.get(part, part) for part in pieces]
    natural = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
    return (is_expert, weight != "weight", natural, weight)
