"""Images and sounds drawn from a seed, to calibrate and check models with where nobody gives any.

They have what matters to ranges of activations - edges, gradients, textures; tones, noise, bursts and
silence - and no meaning.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.media import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["drawn_image", "drawn_sound"]

_SIZE = 224
_SHAPES = 6
_OVERTONES = 12


def drawn_image(name: str) -> NDArray[np.uint8]:
    """An image that depends on `name` alone: uint8 [224, 224, 3]."""
    rng = _random(name)
    line, column = np.mgrid[0 : 1 : _SIZE * 1j, 0 : 1 : _SIZE * 1j]
    slopes = rng.normal(0, 1, (3, 2))
    canvas = rng.uniform(0, 1, 3) + 0.3 * (line[..., None] * slopes[:, 0] + column[..., None] * slopes[:, 1])
    for _ in range(int(rng.integers(1, _SHAPES))):
        inside = _shape(rng, line, column)
        canvas[inside] = rng.uniform(0, 1, 3) + rng.uniform(0, 0.3) * _waves(rng, line, column)[inside, None]
    canvas += rng.normal(0, rng.uniform(0, 0.08), canvas.shape)
    image: NDArray[np.uint8] = np.rint(255 * canvas.clip(0, 1)).astype(np.uint8)
    return image


def drawn_sound(name: str) -> NDArray[np.float32]:
    """A sound that depends on `name` alone: float32, 1 to 4 s at 16,000 a second."""
    rng = _random(name)
    time = np.arange(int(rng.uniform(1, 4) * RATE)) / RATE
    sound = np.zeros(len(time))
    for _ in range(int(rng.integers(1, 5))):
        begin, length = rng.uniform(0, time[-1]), rng.uniform(0.1, 1.5)
        swell = np.exp(-(((time - begin) / length) ** 2) * 8)
        pitch = rng.uniform(80, 400) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 6) * time))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        voice = _voice(rng, phase)
        sound += swell * (voice + rng.uniform(0, 0.5) * rng.normal(0, 1, len(time)))
    sound += rng.normal(0, 10.0 ** rng.uniform(-4, -2), len(time))
    loudness = rng.uniform(0.05, 0.9) / max(float(np.abs(sound).max()), 1e-9)
    return (loudness * sound).astype(np.float32)


def _voice(rng: np.random.Generator, phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Overtones of random strength, sin(k phase) by its recurrence: sines take long."""
    before, tone, double = np.zeros_like(phase), np.sin(phase), 2 * np.cos(phase)
    voice = np.zeros_like(phase)
    for k in range(1, _OVERTONES):
        voice += tone * (rng.uniform(0, 1) / k)
        before, tone = tone, double * tone - before
    return voice


def _random(name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def _shape(
    rng: np.random.Generator, line: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.bool_]:
    middle, size = rng.uniform(0, 1, 2), rng.uniform(0.05, 0.5, 2)
    offsets = (line - middle[0]) / size[0], (column - middle[1]) / size[1]
    if rng.random() < 0.5:
        found: NDArray[np.bool_] = np.hypot(*offsets) < 1
    else:
        found = np.maximum(np.abs(offsets[0]), np.abs(offsets[1])) < 1
    return found


def _waves(
    rng: np.random.Generator, line: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float64]:
    turns = rng.normal(0, 40, 2)
    waves: NDArray[np.float64] = np.sin(turns[0] * line + turns[1] * column)
    return waves
