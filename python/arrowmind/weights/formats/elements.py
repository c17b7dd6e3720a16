"""Element types of tensors without groups: floats, and int8 with one scale per row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.errors import WeightError
from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FLOAT_TYPES", "NUMBER_TYPES", "NumberType", "float_values", "number_type"]


@dataclass(frozen=True)
class NumberType:
    """An element type of weights.

    Attributes:
        name: as in the ``quant_type`` column.
        dtype: numpy dtype of one element, little-endian; bfloat16 as its bits, which NumPy has no type for.
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
        NumberType("bf16", np.dtype("<u2"), "n16"),
        NumberType("int8", np.dtype("i1"), "n16k4", coded=True),
    )
}

FLOAT_TYPES = tuple(kind.name for kind in NUMBER_TYPES.values() if not kind.coded)
"""Those whose elements are values, not codes."""


def number_type(name: str) -> NumberType:
    """The type called ``name``.

    Raises:
        WeightError: there is none.
    """
    if name not in NUMBER_TYPES:
        raise WeightError(f"quant_type {name!r} is unknown; this version reads {', '.join(NUMBER_TYPES)}")
    return NUMBER_TYPES[name]


def float_values(quant_type: str, elements: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Elements of a float type as float32, exactly; a copy."""
    if quant_type == "bf16":
        return (elements.astype("<u4") << 16).view("<f4")
    return elements.astype(np.float32)
