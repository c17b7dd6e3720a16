"""Weights as our files hold them: for each width a form of the matrices, and one of the table.

Codes are the nearest in plain ranges: speed does not depend on how well a range was searched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.matrix.rounding import levels_of
from arrowmind.quantize.matrix.storage import ScaleStore
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.roles import role_of
from arrowmind.weights.tensor import Tensor, grid_tensor, int8_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from arrowmind.weights import WeightSource

__all__ = ["FORMS", "Form", "coded_tensors"]

_INT4 = Grid("int4", 32, "fp16")
# Those of `table_type: int4` and `int2`.
_TABLE_INT4, _TABLE_INT2 = (Grid(kind, 32, "u8", zero_points=True) for kind in ("int4", "int2"))
_BLOCK_ROWS = 4096  # at a time: a table of 150,000 rows has a copy of each step in memory else
# The step of four levels that loses least of a normal distribution, in deviations.
_INT2_STEP = 0.996


@dataclass(frozen=True)
class Form:
    """What matrices and the table are stored as: a grid, `int8` (a scale per row) or `fp16`."""

    matrices: Grid | str
    table: Grid | str


FORMS = {
    "fp16": Form("fp16", "fp16"),
    "int8": Form("int8", "int8"),
    "int4": Form(_INT4, "int8"),
    "int4-head4": Form(_INT4, _TABLE_INT4),
    "int2-g32": Form(Grid("int2", 32, "fp16"), "int8"),
    "int2-g64": Form(Grid("int2", 64, "fp16"), "int8"),
    "int2-g32-head4": Form(Grid("int2", 32, "fp16"), _TABLE_INT4),
    "int2-g64-head4": Form(Grid("int2", 64, "fp16"), _TABLE_INT4),
    "int2-g32-head2": Form(Grid("int2", 32, "fp16"), _TABLE_INT2),
    "int2-g64-head2": Form(Grid("int2", 64, "fp16"), _TABLE_INT2),
}


def coded_tensors(source: WeightSource, form: Form) -> Iterator[Tensor]:
    """All tensors of a model in this form."""
    for name in source.names():
        tensor = source.tensor(name)
        role = role_of(name, tensor.spec.shape)
        if role == "vector":
            yield tensor
            continue
        kind = form.matrices if role == "linear" else form.table
        if kind == "fp16":
            yield tensor.for_kernels()
        elif isinstance(kind, Grid):
            yield grid_tensor(name, _on_grid(tensor.to_float32(), kind))
        else:
            yield _int8(name, tensor.to_float32())


def _int8(name: str, values: npt.NDArray[np.float32]) -> Tensor:
    scales = np.maximum(np.abs(values).max(axis=1) / np.float32(127), np.finfo(np.float32).tiny)
    codes = np.rint(values / scales[:, None]).astype(np.int8)
    return int8_tensor(name, codes, scales.astype(np.float32), activation="int8")


def _on_grid(values: npt.NDArray[np.float32], grid: Grid) -> GridCodes:
    parts = [_rows_on_grid(values[at : at + _BLOCK_ROWS], grid) for at in range(0, len(values), _BLOCK_ROWS)]
    codes, scales = (np.concatenate([getattr(part, name) for part in parts]) for name in ("codes", "scales"))
    zeros, outer = (
        None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])
        for name in ("zeros", "outer")
    )
    return GridCodes(grid, codes, scales, zeros, outer)


def _rows_on_grid(values: npt.NDArray[np.float32], grid: Grid) -> GridCodes:
    levels = levels_of(grid)
    groups = values.reshape(len(values), -1, grid.group_size)
    low = np.minimum(groups.min(axis=2), 0)
    if grid.quant_type == "int2":
        wanted = _INT2_STEP * np.sqrt(np.square(groups).mean(axis=2))
        low = groups.mean(axis=2) - np.float32(levels.span / 2) * wanted
    elif grid.zero_points:
        wanted = (np.maximum(groups.max(axis=2), 0) - low) / np.float32(levels.span)
    else:
        wanted = np.abs(groups).max(axis=2) / np.float32(-levels.low)
    store = ScaleStore.covering(grid, wanted)
    stored = store.encode(wanted)
    scales = store.decode(stored)[:, :, None]
    zeros = store.encode_zeros(-low / scales[:, :, 0]) if grid.zero_points else None
    shift = 0 if zeros is None else np.multiply(zeros, grid.zero_step, dtype=np.float32)[:, :, None]
    codes = levels.codes(levels.snap(groups / scales + shift)).reshape(values.shape)
    return GridCodes(grid, codes, stored, zeros, store.outer)
