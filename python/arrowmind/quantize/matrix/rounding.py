"""The nearest level of a grid. Levels are what codes stand for before zero point and scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.weights.formats import Grid

__all__ = ["Levels", "levels_of"]

_E2M1_STEPS = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0], dtype=np.float32)
_E2M1 = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0], dtype=np.float32)


@dataclass(frozen=True)
class Levels:
    """The levels of a grid: `low`, `low` + 1 ... `high`, or those of E2M1.

    Attributes:
        low: smallest level.
        high: largest level.
        uniform: whether levels are one apart.
        lowest_code: code of `low`; codes follow the levels where those are uniform.
    """

    low: float
    high: float
    uniform: bool = True
    lowest_code: int = 0

    @property
    def span(self) -> float:
        """Distance between the smallest and the largest level."""
        return self.high - self.low

    def snap(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The nearest level of each value; float32 of the same shape, a new array."""
        if not self.uniform:
            magnitudes = _E2M1[np.searchsorted(_E2M1_STEPS, np.abs(values))]
            signed: npt.NDArray[np.float32] = np.copysign(magnitudes, values)
            return signed
        levels: npt.NDArray[np.float32] = values - np.float32(self.low)
        np.rint(levels, out=levels)
        np.clip(levels, 0, self.span, out=levels)
        levels += np.float32(self.low)
        return levels

    def codes(self, levels: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Codes of levels, uint8; int8 codes as their two's complement byte."""
        if not self.uniform:
            places: npt.NDArray[np.uint8] = np.searchsorted(_E2M1, np.abs(levels)).astype(np.uint8)
            places[np.signbit(levels)] |= 8
            return places
        codes = levels - np.float32(self.low) + np.float32(self.lowest_code)
        whole: npt.NDArray[np.uint8] = codes.astype(np.int16).astype(np.uint8)
        return whole


def levels_of(grid: Grid) -> Levels:
    """The levels of ``grid``; with zero points they start at 0."""
    if grid.quant_type == "fp4":
        return Levels(-6.0, 6.0, uniform=False)
    if grid.quant_type == "int8":
        return Levels(-127.0, 127.0, lowest_code=-127)
    highest = float(2**grid.bits - 1)
    if grid.zero_points:
        return Levels(0.0, highest)
    low = -1.5 if grid.quant_type == "int2" else -8.0
    return Levels(low, low + highest)
