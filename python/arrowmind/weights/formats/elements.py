"""Element types of tensors without groups: floats, and int8 with one scale per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from arrowmind.errors import WeightError

__all__ = ["NUMBER_TYPES", "NumberType", "number_type"]


@dataclass(frozen=True)
class NumberType:
    """An element type of weights.

    Attributes:
        name: as in the ``quant_type`` column.
        dtype: numpy dtype of one element, little-endian.
        packed: layout that kernels read linear layers of this type in.
        coded: whether elements are codes that need a scale.
    """

    name: str
    dtype: np.dtype[Any]
    packed: str
    coded: bool = False


NUMBER_TYPES = {
    kind.name: kind
    for kind in (
        NumberType("fp32", np.dtype("<f4"), "n16"),
        NumberType("fp16", np.dtype("<f2"), "n16"),
        NumberType("int8", np.dtype("i1"), "n16k4", coded=True),
    )
}


def number_type(name: str) -> NumberType:
    """The type called ``name``.

    Raises:
        WeightError: there is none.
    """
    if name not in NUMBER_TYPES:
        raise WeightError(f"quant_type {name!r} is unknown; this version reads {', '.join(NUMBER_TYPES)}")
    return NUMBER_TYPES[name]
