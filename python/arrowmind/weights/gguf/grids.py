"""Blocks of GGUF that are a plain grid -> codes and scales of ours, and back: no bit is changed on the way.

====== ========================================
Q8_0   int8, groups of 32, float16 scales
Q4_0   int4, groups of 32, float16 scales
MXFP4  fp4, groups of 32, E8M0 scales
====== ========================================

Q4_0 gives the value farthest from zero the code 0, which stands for -8, and the scale the sign that fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind import _native
from arrowmind.weights.formats import Grid, GridCodes

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["block_type", "from_blocks", "grid_of_blocks", "reordered", "to_blocks"]

_GROUP = 32
_NO_SCALE = 255  # E8M0's NaN
_NO_CODE = 0x80  # -128
_GRIDS = {
    "Q8_0": Grid("int8", _GROUP, "fp16"),
    "Q4_0": Grid("int4", _GROUP, "fp16"),
    "MXFP4": Grid("fp4", _GROUP, "e8m0"),
}


def grid_of_blocks(kind: str, blocks: npt.NDArray[np.uint8]) -> Grid | None:
    """The grid that :func:`from_blocks` gives, found without taking the blocks apart.

    Args:
        kind: type of the blocks.
        blocks: their bytes, one after the other.

    Returns:
        None where they are none of our grid.
    """
    if kind not in _GRIDS:
        return None
    parts = blocks.reshape(-1, _native.gguf_type(kind)[2])
    if kind == "MXFP4":
        return None if (parts[:, 0] == _NO_SCALE).any() else _GRIDS[kind]
    halves = np.ascontiguousarray(parts[:, :2]).view("<f2")
    if not np.isfinite(halves).all() or (kind == "Q8_0" and (parts[:, 2:] == _NO_CODE).any()):
        return None
    return _GRIDS[kind]


def from_blocks(kind: str, codes: npt.NDArray[np.uint8], scales: npt.NDArray[np.uint8]) -> GridCodes | None:
    """What :meth:`arrowmind._native.GgufFile.grid` gives as a matrix on a grid.

    Args:
        kind: ``Q8_0``, ``Q4_0`` or ``MXFP4``.
        codes: uint8 [n, k].
        scales: bytes of the scales, uint8 [n, groups * bytes of one].

    Returns:
        None where a block is none of our grid: a scale that is NaN or infinite, the code -128.
    """
    if kind == "MXFP4":
        return None if (scales == _NO_SCALE).any() else GridCodes(_GRIDS[kind], codes, scales)
    halves = np.ascontiguousarray(scales).view("<f2")
    if not np.isfinite(halves).all():
        return None
    if kind == "Q8_0" and (codes == _NO_CODE).any():
        return None
    return GridCodes(_GRIDS[kind], codes, halves)


def reordered(grid: GridCodes, rows: npt.NDArray[np.intp]) -> GridCodes:
    """The same matrix with its rows in another order; all of them as they are for an empty one."""
    if not rows.size:
        return grid
    zeros = None if grid.zeros is None else grid.zeros[rows]
    outer = None if grid.outer is None else grid.outer[rows]
    return GridCodes(grid.grid, grid.codes[rows], grid.scales[rows], zeros, outer)


def block_type(grid: GridCodes) -> str | None:
    """The type of GGUF that holds a matrix on a grid as it is; None where there is none."""
    known = {one: kind for kind, one in _GRIDS.items()}
    return None if grid.codes.shape[1] % _GROUP else known.get(grid.grid)


def to_blocks(grid: GridCodes) -> tuple[str, npt.NDArray[np.uint8]] | None:
    """A matrix on a grid as blocks of GGUF: the type and the bytes, row by row.

    Returns:
        None where GGUF has no such grid.
    """
    kind = block_type(grid)
    if kind is None:
        return None
    codes = np.ascontiguousarray(grid.codes, dtype=np.uint8).reshape(-1)
    scales = np.ascontiguousarray(grid.scales).reshape(-1)
    return kind, _native.gguf_join(kind, codes, scales.view(np.uint8))
