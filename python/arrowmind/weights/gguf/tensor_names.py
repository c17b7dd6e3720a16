"""GGUF names of tensors -> Hugging Face names, and rows that GGUF keeps in another order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.errors import IntegrityError, WeightError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from arrowmind.weights.gguf.architectures import Architecture

__all__ = ["IGNORED", "gguf_names", "head_rows", "model_names", "to_gguf", "to_model"]

IGNORED = ("rope_freqs.weight",)
"""Tensors that are settings: read into config.json, not weights."""

_NUMBER = re.compile(r"\.(\d{1,4})\.")


def to_model(architecture: Architecture, name: str) -> str | None:
    """``blk.3.attn_q.weight`` -> ``model.layers.3.self_attn.q_proj.weight``; None for an unknown name."""
    return _translate(architecture.tensors, name)


def to_gguf(architecture: Architecture, name: str) -> str | None:
    """The inverse of :func:`to_model`."""
    return _translate({theirs: ours for ours, theirs in architecture.tensors.items()}, name)


def model_names(architecture: Architecture, names: Iterable[str], path: object) -> dict[str, str]:
    """Hugging Face name -> GGUF name, for all tensors of a file.

    Raises:
        WeightError: the table has no place for a tensor.
    """
    result: dict[str, str] = {}
    for name in names:
        if name in IGNORED:
            continue
        found = to_model(architecture, name)
        if found is None:
            raise WeightError(
                f"{path}: tensor {name!r} is none of the architecture {architecture.name!r}; such a variant "
                "of it cannot be converted"
            )
        if found in result:
            raise IntegrityError(f"{path}: tensors {result[found]!r} and {name!r} are the same one")
        result[found] = name
    return result


def gguf_names(architecture: Architecture, names: Iterable[str], path: object) -> dict[str, str]:
    """GGUF name -> Hugging Face name, for all tensors of a model that is exported.

    Raises:
        WeightError: GGUF has no name for a tensor.
    """
    result: dict[str, str] = {}
    for name in names:
        found = to_gguf(architecture, name)
        if found is None:
            raise WeightError(
                f"{path}: GGUF has no name for tensor {name!r} of a {architecture.model_type}; "
                "export it as safetensors"
            )
        result[found] = name
    return result


def head_rows(
    architecture: Architecture, name: str, heads: Mapping[str, int], rows: int
) -> npt.NDArray[np.intp]:
    """Rows of a GGUF tensor in the order of the original; empty when they are in order.

    GGUF interleaves the two halves of each head of query and key (row 2 i is row i of the first half, row
    2 i + 1 of the second), because it rotates neighbours where the original rotates halves.

    Args:
        architecture: of the model.
        name: GGUF name of the tensor.
        heads: number of heads by ``attn_q`` and ``attn_k``.
        rows: of the tensor.

    Raises:
        WeightError: the rows are no whole number of pairs per head.
    """
    part = name.split(".")[2] if name.startswith("blk.") and name.count(".") == 3 else ""
    if not architecture.interleaved or part not in heads:
        return np.empty(0, np.intp)
    count = heads[part]
    if count < 1 or rows % (2 * count):
        raise WeightError(f"tensor {name!r} has {rows} rows, which are not those of {count} heads")
    order: npt.NDArray[np.intp] = np.arange(rows).reshape(count, -1, 2).swapaxes(1, 2).reshape(-1)
    return order


def _translate(table: Mapping[str, str], name: str) -> str | None:
    stem, _, suffix = name.rpartition(".")
    number = _NUMBER.search(name)
    pattern = stem if number is None else stem.replace(f".{number[1]}.", ".{}.", 1)
    whole = f"{pattern}.{suffix}"
    if number is not None and whole in table:
        return table[whole].replace("{}", str(int(number[1])))
    if suffix not in ("weight", "bias") or pattern not in table:
        return None
    filled = table[pattern] if number is None else table[pattern].replace("{}", str(int(number[1])))
    return f"{filled}.{suffix}"
