"""Pairs of int8 codes with |first| + |second| <= 128: products with bytes 0..255 then sum in 16 bits.

255 * 128 = 32640 < 2^15, so that one instruction which multiplies unsigned by signed bytes and adds
neighbours in 16 bits never saturates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

__all__ = ["PAIR_SUM", "round_pair", "snap_pairs"]

PAIR_SUM = 128
_MAX = 127


def snap_pairs(values: Floats, weight: Floats) -> Floats:
    """Codes of all pairs of columns, without feedback.

    Args:
        values: float32 [k, n] in units of the scale.
        weight: [k] of each column's squared error.

    Returns:
        Codes, float32 [k, n].
    """
    codes = np.clip(np.rint(values), -_MAX, _MAX)
    for i in range(0, len(values) - 1, 2):
        if (np.abs(codes[i]) + np.abs(codes[i + 1]) > PAIR_SUM).any():
            codes[i : i + 2] = round_pair(values[i], values[i + 1], np.diag(weight[i : i + 2] ** -0.5))
    return codes


def round_pair(first: Floats, second: Floats, u: Floats) -> Floats:
    """Codes of two neighbouring columns within the bound, for the least cost with feedback.

    Args:
        first: float32 [n], the first column in units of its scale.
        second: float32 [n], the second in units of the same scale.
        u: [2, 2] part of the feedback's factor.

    Returns:
        Codes, float32 [2, n].
    """
    ratio = u[0, 1] / u[0, 0]
    one = np.clip(np.rint(first), -_MAX, _MAX)
    two = np.clip(np.rint(second - (first - one) * ratio), -_MAX, _MAX)
    beyond = np.flatnonzero(np.abs(one) + np.abs(two) > PAIR_SUM)
    if beyond.size:
        one[beyond], two[beyond] = _within(first[beyond], second[beyond], u)
    return np.stack([one, two])


def _within(first: Floats, second: Floats, u: Floats) -> tuple[Floats, Floats]:
    """The best codes on the line where their magnitudes add up to the bound."""
    ratio = u[0, 1] / u[0, 0]
    ones = np.arange(-_MAX, _MAX + 1, dtype=np.float32)[:, None]
    room = PAIR_SUM - np.abs(ones)
    error = first - ones
    wanted = second - error * ratio
    twos = np.clip(np.rint(wanted), np.maximum(-room, -_MAX), np.minimum(room, _MAX))
    cost = (error / u[0, 0]) ** 2 + ((wanted - twos) / u[1, 1]) ** 2
    best = cost.argmin(axis=0)
    return ones[best, 0], twos[best, np.arange(len(first))]
