"""Another rate of samples: a windowed sinc, evaluated where the new samples are.

The low-pass has its edge at 0.94 of half the lower rate and is down by more than 85 dB from half that rate
on, so that nothing folds back; what is below 0.88 of it passes within 0.001 dB.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["resample"]

_EDGE = 0.94
_CROSSINGS = 48  # of the sinc on each side
_BETA = 9.5  # of the Kaiser window: 95 dB
# Phases whose filters are made at a time, for rates that have few common factors.
_PHASES = 512


def resample(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """`samples` at another rate.

    Args:
        samples: float32 [samples], before and after which there is silence.
        rate: samples a second.
        wanted: likewise.

    Returns:
        float32 [ceil(samples * wanted / rate)]; sample i stands at the time i / wanted.
    """
    if rate == wanted:
        return samples
    common = gcd(rate, wanted)
    up, down = wanted // common, rate // common
    half = int(np.ceil(_CROSSINGS * max(1.0, rate / wanted) / _EDGE))
    taps = 2 * half
    count = -(-len(samples) * up // down)
    padded = np.zeros(len(samples) + 2 * taps, dtype=np.float32)
    padded[taps : taps + len(samples)] = samples
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    result = np.empty(count, dtype=np.float32)
    for begin in range(0, min(up, count), _PHASES):
        phases = np.arange(begin, min(begin + _PHASES, up, count))
        filters = _filters(phases * down % up / up, half, min(1.0, wanted / rate))
        for phase, one in zip(phases, filters, strict=True):
            # Of output phase + i * up the first tap stands at its whole input place - half + 1.
            first = phase * down // up - half + 1 + taps
            places = len(range(phase, count, up))
            result[phase::up] = windows[first : first + (places - 1) * down + 1 : down] @ one
    return result


def _filters(fractions: NDArray[np.float64], half: int, lower: float) -> NDArray[np.float32]:
    """Taps [fractions, 2 * half] for outputs that stand so far behind an input; their sum is 1."""
    distance = np.arange(1 - half, half + 1) - fractions[:, None]
    cutoff = _EDGE * lower
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None)))
    taps = np.sinc(cutoff * distance) * window
    taps /= taps.sum(axis=1, keepdims=True)
    return taps.astype(np.float32)
