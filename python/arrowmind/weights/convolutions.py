"""Convolutions as matrices: what a model multiplies unfolded rows by.

A convolution over rows, [n_out, n_in, width], becomes [n_out, width * n_in], row by row; one over patches
that do not overlap, [n_out, channels, height, width], becomes [n_out, channels * height * width].
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["as_matrix", "matrix_shape"]

_ROWS = re.compile(r"(^|\.)encoder\.conv[12]\.weight$")
_PATCHES = re.compile(r"(^|\.)embeddings\.patch_embedding\.weight$")


def matrix_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a tensor once it is a matrix; its own where it is no convolution."""
    is_convolution = (len(shape) == 3 and _ROWS.search(name)) or (len(shape) == 4 and _PATCHES.search(name))
    return (shape[0], prod(shape[1:])) if is_convolution else shape


def as_matrix(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values in the order of :func:`matrix_shape`."""
    shape = matrix_shape(name, values.shape)
    if shape == values.shape:
        return values
    ordered = values.transpose(0, 2, 1) if values.ndim == 3 else values
    return np.ascontiguousarray(ordered).reshape(shape)
