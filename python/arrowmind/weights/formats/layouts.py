"""Orders of elements in a file, their sizes, and packing of tensors without groups.

::

    row      values in row-major order, as in the original
    n16      a matrix [n, k] as panels of 16 outputs: [n / 16][k][16]
    n16k4    the same with k in fours: [n / 16][k / 4][16][4]

n is padded with zeros to 16, k to 4 (``n16k4`` only). Every kernel of a type reads the same layout
(csrc/kernels/qmatmul/qmatmul.h), so a file can be mapped by any machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind import _native
from arrowmind.errors import WeightError
from arrowmind.frozen import dataclass
from arrowmind.weights.formats.elements import number_type

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "ACTIVATIONS",
    "LAYOUTS",
    "PANEL",
    "Layout",
    "encoded_bytes",
    "layout_of",
    "pack",
    "padded",
    "unpack",
]

PANEL = 16
"""Outputs per panel; vectors with one value per output are padded to a multiple of it."""

ACTIVATIONS = ("fp32", "int16", "int8")
"""How activations meet a matrix: as they are, or rounded per token to codes of 16 or 8 bits."""


@dataclass(frozen=True)
class Layout:
    """An order of elements: outputs in panels, k in groups within a panel."""

    name: str
    panel: int = 1
    group: int = 1


LAYOUTS = {layout.name: layout for layout in (Layout("row"), Layout("n16", PANEL), Layout("n16k4", PANEL, 4))}


def layout_of(name: str, quant_type: str) -> Layout:
    """The layout called ``name``, for elements of ``quant_type``.

    Raises:
        WeightError: there is none, or no kernel reads this type in it.
    """
    allowed = ("row", number_type(quant_type).packed)
    if name not in allowed:
        raise WeightError(f"layout {name!r} does not go with {quant_type}; use one of {', '.join(allowed)}")
    return LAYOUTS[name]


def padded(count: int, unit: int) -> int:
    """``count`` rounded up to a multiple of ``unit``."""
    return -(-count // unit) * unit


def encoded_bytes(quant_type: str, layout: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor's elements, padding of the layout included.

    Raises:
        WeightError: type, layout and shape do not go together.
    """
    item = number_type(quant_type).dtype.itemsize
    order = layout_of(layout, quant_type)
    if layout == "row":
        return math.prod(shape) * item
    if len(shape) != 2:
        raise WeightError(f"layout {layout!r} is for matrices, not for shape {list(shape)}; use 'row'")
    return padded(shape[0], order.panel) * padded(shape[1], order.group) * item


def pack(quant_type: str, layout: str, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Elements in row-major order -> bytes in ``layout``.

    Args:
        quant_type: type of the elements.
        layout: name of the layout.
        values: of the type's dtype; [n, k] unless the layout is ``row``.

    Returns:
        uint8 [bytes]; a view of ``values`` where the layout is ``row``.
    """
    values = np.asarray(values, dtype=number_type(quant_type).dtype, order="C")
    encoded_bytes(quant_type, layout, values.shape)
    if layout == "row":
        return values.reshape(-1).view(np.uint8)
    return _native.qmatmul_pack(quant_type, values)


def row_sums(codes: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """The sums of rows of int8 codes [n, k], int32 [n]: a third of the time that NumPy takes."""
    return _native.qmatmul_row_sums(np.ascontiguousarray(codes))


def unpack(
    quant_type: str, layout: str, shape: tuple[int, ...], codes: npt.NDArray[np.uint8]
) -> npt.NDArray[Any]:
    """Bytes in ``layout`` -> elements in row-major order; the inverse of :func:`pack`.

    Returns:
        An array of ``shape`` and the type's dtype; a view of ``codes`` where the layout is ``row``.

    Raises:
        WeightError: ``codes`` has another size than the shape needs.
    """
    expected = encoded_bytes(quant_type, layout, shape)
    if codes.size != expected:
        raise WeightError(f"{quant_type} {layout} {list(shape)} needs {expected} bytes, not {codes.size}")
    dtype = number_type(quant_type).dtype
    if layout == "row":
        return codes.view(dtype).reshape(shape)
    values = np.empty(shape, dtype=dtype)
    _native.qmatmul_unpack(quant_type, codes, values)
    return values
