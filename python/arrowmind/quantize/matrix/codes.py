"""A matrix on its grid -> codes as the file holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.matrix.rounding import levels_of
from arrowmind.quantize.matrix.trellis import encode
from arrowmind.quantize.scheme import Quantized
from arrowmind.weights.formats import GridCodes

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.quantize.matrix.rounded import Rounded
    from arrowmind.weights.formats import Grid

__all__ = ["codes_of"]

_ALL = slice(None)


def codes_of(rounded: Rounded, rows: slice = _ALL) -> GridCodes | Quantized:
    """Codes of some rows of ``rounded``; int8 with a scale per row in the scheme of its own."""
    grid, store = rounded.grid, rounded.store.rows(rows)
    scales = np.ascontiguousarray(rounded.scales[:, rows].T)
    zeros = np.ascontiguousarray(rounded.zeros[:, rows].T)
    levels = np.ascontiguousarray(rounded.levels[:, rows].T)
    if grid.quant_type == "int8" and not grid.group_size:
        return Quantized(levels.astype(np.int8), scales[:, 0], zeros[:, 0] if grid.zero_points else None)
    return GridCodes(
        grid,
        _codes_of_levels(grid, levels),
        store.encode(scales),
        store.encode_zeros(zeros) if grid.zero_points else None,
        store.outer,
    )


def _codes_of_levels(grid: Grid, levels: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    trellis = grid.code_type.trellis
    if trellis is None:
        return levels_of(grid).codes(levels)
    # Levels that codes stand for are nearest to themselves.
    return encode(levels, np.ones((len(levels), 1), np.float32), trellis, group=levels.shape[1])[0]
