"""Log-mel spectrograms as Whisper reads them: 25 ms windows 10 ms apart, Slaney's mel scale."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HOP", "log_mel", "mel_filters"]

HOP = 160
"""Samples from one frame to the next."""

_WINDOW = 400
_RATE = 16000
_FLOOR = np.float32(1e-10)
_RANGE = np.float32(8)  # decades below the loudest
# Mel scale: 3 / 200 per Hz up to 1000 Hz, then 27 for each factor of 6.4.
_KNEE = 1000.0
_LINEAR = 3 / 200
_LOG_STEP = np.log(6.4) / 27


def log_mel(samples: NDArray[np.float32], bands: int, frames: int, longest: int) -> NDArray[np.float32]:
    """The spectrogram of a sound that silence follows.

    Args:
        samples: float32 [samples] at 16,000 a second, not more than ``longest``.
        bands: of the mel scale.
        frames: how many; silence where the sound has ended.
        longest: samples of the window a model reads; the sound with its silence is mirrored at this end, and
            at its beginning, as the reference does it.

    Returns:
        float32 [frames, bands]: log10 of the power, within 8 decades below the loudest, (x + 4) / 4.
    """
    needed = min(frames * HOP + _WINDOW // 2, longest)
    padded = np.zeros(max(needed, _WINDOW), dtype=np.float32)
    padded[: min(len(samples), len(padded))] = samples[: len(padded)]
    padded = np.pad(padded, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:frames]
    spectrum = np.fft.rfft(windows * _hann(), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    mel = _sum_bands(power.astype(np.float32, copy=False), bands)
    logs = np.log10(np.maximum(mel, _FLOOR))
    logs = np.maximum(logs, logs.max() - _RANGE)
    result: NDArray[np.float32] = (logs + np.float32(4)) / np.float32(4)
    return result


@cache
def _hann() -> NDArray[np.float32]:
    angles = 2 * np.pi * np.arange(_WINDOW) / _WINDOW
    return (0.5 - 0.5 * np.cos(angles)).astype(np.float32)


def _sum_bands(power: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    """`power` [frames, 201] times `mel_filters`, which are zero but for two bands of each frequency.

    Not by a product of matrices: the threads of its library would wait, busily, where the model's run next.
    """
    places, rising, falling = _band_sums(bands)
    last = power.shape[1] - 1
    empty = np.append(places[1:], last + 1) == places
    begins = np.minimum(places, last)
    sums = [np.add.reduceat(power * weights, begins, axis=1) for weights in (rising, falling)]
    for one in sums:
        one[:, empty] = 0
    mel: NDArray[np.float32] = sums[0][:, :bands] + sums[1][:, 1:]
    return mel


@cache
def _band_sums(bands: int) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
    """First frequency between each two edges; what each weighs for the band that rises there, and falls."""
    frequencies, edges = _edges(bands)
    filters = mel_filters(bands)
    places = np.searchsorted(frequencies, edges[:-1])
    between = np.clip(np.searchsorted(edges, frequencies, side="right") - 1, 0, bands)
    every = np.arange(len(frequencies))
    rising = np.where(between < bands, filters[every, np.minimum(between, bands - 1)], 0)
    falling = np.where(between > 0, filters[every, np.maximum(between - 1, 0)], 0)
    return places, rising.astype(np.float32), falling.astype(np.float32)


@cache
def mel_filters(bands: int) -> NDArray[np.float32]:
    """Triangles over the frequencies of a window, each of area 2 / its width: float32 [201, bands]."""
    frequencies, edges = _edges(bands)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))
    return np.ascontiguousarray(triangles, dtype=np.float32)


def _edges(bands: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies of a window's spectrum, and where bands begin, peak and end."""
    frequencies = np.linspace(0, _RATE / 2, _WINDOW // 2 + 1)
    return frequencies, _to_hertz(np.linspace(_to_mel(0.0), _to_mel(_RATE / 2), bands + 2))


def _to_mel(hertz: float) -> float:
    return hertz * _LINEAR if hertz < _KNEE else _KNEE * _LINEAR + float(np.log(hertz / _KNEE)) / _LOG_STEP


def _to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    knee = _KNEE * _LINEAR
    above: NDArray[np.float64] = _KNEE * np.exp(_LOG_STEP * np.maximum(mel - knee, 0))
    return np.where(mel < knee, mel / _LINEAR, above)
