"""A sound in pieces that a model reads, with no more silence behind them than asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arrowmind.media import RATE
from arrowmind.media.spectrogram import HOP

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ROW", "Window", "frames_of", "windows_of"]

ROW = 2 * HOP
"""Samples of a row: 20 ms."""

# Cuts fall where it is quietest within this part at the end of a window, in rows of 20 ms.
_SEARCHED = 0.2
_SMOOTHED = 10


class Window(NamedTuple):
    """A piece of a sound.

    Attributes:
        samples: of the piece, without silence.
        heard: rows that the sound reaches into.
        rows: these, and the margin.
        longest: samples of the longest window.
    """

    samples: NDArray[np.float32]
    heard: int
    rows: int
    longest: int


def windows_of(samples: NDArray[np.float32], rows: int, margin: float) -> list[Window]:
    """Cuts a sound of more than `rows` rows where it is quiet.

    Args:
        samples: at least one.
        rows: most rows of a window.
        margin: seconds of silence after each piece, as far as a window has room.
    """
    longest, found, begin = rows * ROW, [], 0
    behind = round(margin * RATE / ROW)
    while begin < len(samples):
        end = min(len(samples), begin + longest)
        if end < len(samples):
            end = begin + _quiet(samples[begin:end])
        piece = samples[begin:end]
        heard = -(-len(piece) // ROW)
        found.append(Window(piece, heard, min(rows, heard + behind), longest))
        begin = end
    return found


def _quiet(samples: NDArray[np.float32]) -> int:
    """Where to cut: the quietest place in the last part, after it."""
    rows = len(samples) // ROW
    first = rows - max(1, int(rows * _SEARCHED))
    power = np.square(samples[first * ROW : rows * ROW], dtype=np.float64).reshape(-1, ROW).sum(axis=1)
    smooth = np.convolve(power, np.ones(min(_SMOOTHED, len(power))), mode="same")
    return (first + int(smooth.argmin()) + 1) * ROW


def frames_of(spectrogram: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of a tower of sound, [2 n, bands] -> [n, 4 * bands]: two frames, one before and one behind."""
    count, bands = spectrogram.shape
    padded = np.zeros((count + 2, bands), dtype=np.float32)
    padded[1:-1] = spectrogram
    step, item = padded.strides
    rows = np.lib.stride_tricks.as_strided(padded, (count // 2, 4 * bands), (2 * step, item), writeable=False)
    return np.ascontiguousarray(rows)
