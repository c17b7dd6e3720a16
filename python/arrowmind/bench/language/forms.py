"""Weights as our files hold them: for each width a form of the matrices, and one of the table.

Codes are the nearest in plain ranges: speed does not depend on how well a range was searched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.quantize.matrix.rounding import levels_of
from arrowmind.weights.formats import Grid, GridCodes
from arrowmind.weights.roles import role_of
from arrowmind.weights.tensor import Tensor, grid_tensor, int8_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from arrowmind.weights import WeightSource

__all__ = ["FORMS", "Form", "coded_tensors"]

_INT4 = Grid("int4", 32, "fp16")
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
    "int4-head4": Form(_INT4, _INT4),
    "int2-g32": Form(Grid("int2", 32, "fp16"), "int8"),
    "int2-g64": Form(Grid("int2", 64, "fp16"), "int8"),
    "int2-g32-head4": Form(Grid("int2", 32, "fp16"), _INT4),
    "int2-g64-head4": Form(Grid("int2", 64, "fp16"), _INT4),
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
    codes, scales = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    return GridCodes(grid, codes, scales)


def _rows_on_grid(
    values: npt.NDArray[np.float32], grid: Grid
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
    levels = levels_of(grid)
    groups = values.reshape(len(values), -1, grid.group_size)
    if grid.quant_type == "int2":
        wanted = _INT2_STEP * np.sqrt(np.square(groups).mean(axis=2))
    else:
        wanted = np.abs(groups).max(axis=2) / np.float32(-levels.low)
    scales = np.maximum(wanted, np.finfo(np.float16).tiny).astype(np.float16)
    codes = levels.codes(levels.snap(groups / scales[:, :, None].astype(np.float32)))
    return codes.reshape(values.shape), scales
