"""How the numbers of a tensor are stored.

::

    elements     float types and int8 with one scale per row
    layouts      orders of elements in a file, and their sizes
    scales       types of the scales of a grid
    grids        codes of 8, 4 and 2 bits with a scale per group: what they stand for, how they are packed
    trellis      codes of 2 and 3 bits that depend on those before

Kernels, their oracle, files and documentation follow from what is said here
(csrc/kernels/qmatmul/{qmatmul,grid}.h say the same to them).
"""

from __future__ import annotations

from arrowmind.weights.formats.elements import (
    FLOAT_TYPES,
    NUMBER_TYPES,
    NumberType,
    float_values,
    number_type,
)
from arrowmind.weights.formats.grids import CODE_TYPES, GROUP_SIZES, CodeType, Grid, GridCodes
from arrowmind.weights.formats.layouts import (
    ACTIVATIONS,
    LAYOUTS,
    PANEL,
    Layout,
    encoded_bytes,
    layout_of,
    pack,
    padded,
    row_sums,
    unpack,
)
from arrowmind.weights.formats.scales import SCALE_TYPES, ScaleType, encode_scales
from arrowmind.weights.formats.trellis import TRELLISES, Trellis

__all__ = [
    "ACTIVATIONS",
    "CODE_TYPES",
    "FLOAT_TYPES",
    "GROUP_SIZES",
    "LAYOUTS",
    "NUMBER_TYPES",
    "PANEL",
    "SCALE_TYPES",
    "TRELLISES",
    "CodeType",
    "Grid",
    "GridCodes",
    "Layout",
    "NumberType",
    "ScaleType",
    "Trellis",
    "encode_scales",
    "encoded_bytes",
    "float_values",
    "layout_of",
    "number_type",
    "pack",
    "padded",
    "row_sums",
    "unpack",
]
