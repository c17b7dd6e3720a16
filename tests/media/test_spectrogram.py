"""The log-mel spectrogram against its formula in float64."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.media.spectrogram import log_mel, mel_filters

LONGEST = 480_000


def expected(samples: np.ndarray, bands: int, frames: int) -> np.ndarray:
    """The first frames of the spectrogram of the sound and silence up to 30 s."""
    padded = np.zeros(LONGEST)
    padded[: len(samples)] = samples
    padded = np.pad(padded, 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    every = range(LONGEST // 160)
    spectrum = np.array([np.fft.rfft(padded[160 * i : 160 * i + 400] * window) for i in every])
    logs = np.log10(np.maximum(np.abs(spectrum) ** 2 @ mel_filters(bands).astype(np.float64), 1e-10))
    return (np.maximum(logs, logs.max() - 8) + 4)[:frames] / 4


@pytest.mark.parametrize("count", [1, 160, 4000, 16000, 479_900, LONGEST])
def test_matches_the_formula(count, rng):
    samples = rng.normal(0, 0.1, count).astype(np.float32)
    frames = min(3000, 2 * -(-count // 320) + 20)
    found = log_mel(samples, 80, frames, LONGEST)
    assert found.shape == (frames, 80)
    assert found.dtype == np.float32
    # Power errs by 1e-6 of the loudest band, 1e-8 of which is the floor; a log of that is far below 1e-2.
    assert np.abs(found - expected(samples, 80, frames)).max() < 2e-4


def test_silence_is_even():
    found = log_mel(np.zeros(16000, np.float32), 80, 100, LONGEST)
    assert np.ptp(found) == 0
    assert abs(found[0, 0] + 1.5) < 1e-6


@pytest.mark.parametrize("bands", [80, 128])
def test_filters_cover_all_frequencies_with_equal_area(bands):
    filters = mel_filters(bands)
    assert filters.shape == (201, bands)
    assert (filters >= 0).all()
    assert (filters.max(axis=0) > 0).all()
    assert (filters[1:-1].sum(axis=1) > 0).all()
