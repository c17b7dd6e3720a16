"""Convolutions as matrices: what a model multiplies unfolded rows by.

A convolution over rows, [n_out, n_in, width], becomes [n_out, width * n_in], row by row; one over patches
that do not overlap, [n_out, channels, height, width], becomes [n_out, channels * height * width].
"""

from __future__ import annotations

import re
from math import isqrt, prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["as_convolution", "as_matrix", "convolution_shape", "matrix_shape"]

_ROWS = re.compile(r"(^|\.)encoder\.conv[12]\.weight$")
_PATCHES = re.compile(r"(^|\.)embeddings\.patch_embedding\.weight$")
_WIDTH = 3  # of convolutions over rows, in the families that are known
_CHANNELS = 3


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


def convolution_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The inverse of :func:`matrix_shape`: what other tools expect of a matrix of ours."""
    if len(shape) != 2:
        return shape
    n_out, columns = shape
    if _ROWS.search(name) and columns % _WIDTH == 0:
        return n_out, columns // _WIDTH, _WIDTH
    edge = isqrt(columns // _CHANNELS)
    if _PATCHES.search(name) and _CHANNELS * edge * edge == columns:
        return n_out, _CHANNELS, edge, edge
    return shape


def as_convolution(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The inverse of :func:`as_matrix`."""
    shape = convolution_shape(name, values.shape)
    if len(shape) == 3 and values.ndim == 2:
        values = values.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1)
    found: npt.NDArray[Any] = values.reshape(shape)
    return found
