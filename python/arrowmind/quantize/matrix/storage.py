"""Scales and zero points rounded to what a file can hold, before any code is chosen with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arrowmind.weights.formats.scales import SCALE_TYPES, decode_scales

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.weights.formats import Grid

    Floats = npt.NDArray[np.float32]

__all__ = ["ScaleStore"]

_SMALLEST = np.float32(np.finfo(np.float32).tiny)
# A group may want more than any group of its row did before errors were handed on to it.
_MARGIN = 1.1


@dataclass(frozen=True)
class ScaleStore:
    """Rounds the scales of one matrix.

    Attributes:
        grid: says how scales and zero points are stored.
        outer: float32 [n] what stored scales are multiples of; None where they stand alone.
    """

    grid: Grid
    outer: Floats | None = None

    @classmethod
    def covering(cls, grid: Grid, wanted: Floats) -> ScaleStore:
        """A store whose outer scales cover ``wanted`` [n, groups], and some more."""
        if grid.scale_type == "u8":
            outer = wanted.max(axis=1) * np.float32(_MARGIN / 255)
        elif grid.scale_type == "e4m3":
            outer = np.full(len(wanted), wanted.max() * _MARGIN / 448, dtype=np.float32)  # one for the tensor
        else:
            return cls(grid)
        return cls(grid, np.maximum(outer, _SMALLEST).astype(np.float32))

    def rows(self, part: slice) -> ScaleStore:
        """The store of some rows."""
        return ScaleStore(self.grid, None if self.outer is None else self.outer[part])

    def encode(self, wanted: Floats) -> npt.NDArray[Any]:
        """Scales [n, groups] as stored: the nearest, never one that stands for 0."""
        kind = SCALE_TYPES[self.grid.scale_type]
        if kind.values is None:
            limits = np.finfo(kind.dtype)
            smallest = limits.tiny if kind.name == "fp32" else limits.smallest_subnormal
            return np.clip(wanted, smallest, limits.max).astype(kind.dtype)
        table = kind.values[np.isfinite(kind.values)]
        relative = wanted if self.outer is None else wanted / self.outer[:, None]
        places = np.searchsorted((table[1:] + table[:-1]) / 2, relative)
        stored: npt.NDArray[Any] = np.maximum(places, 1).astype(kind.dtype)
        return stored

    def decode(self, stored: npt.NDArray[Any]) -> Floats:
        """What stored scales stand for, float32 [n, groups]."""
        return decode_scales(self.grid.scale_type, stored, self.outer)

    def nearest(self, wanted: Floats) -> Floats:
        """The scales nearest to ``wanted`` [n, groups] that can be stored."""
        return self.decode(self.encode(wanted))

    def encode_zeros(self, wanted: Floats) -> npt.NDArray[np.uint8]:
        """Zero points as stored."""
        stored: npt.NDArray[np.uint8] = np.clip(np.rint(wanted / self.grid.zero_step), 0, 255).astype(
            np.uint8
        )
        return stored

    def nearest_zeros(self, wanted: Floats) -> Floats:
        """The zero points nearest to ``wanted`` that can be stored."""
        if not self.grid.zero_points:
            return np.zeros_like(wanted)
        if self.grid.quant_type == "int8":
            whole: Floats = np.clip(np.rint(wanted), -127, 127).astype(np.float32)
            return whole
        return np.multiply(self.encode_zeros(wanted), self.grid.zero_step, dtype=np.float32)
