"""An encoder that needs no model: words hashed to random directions, summed."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=4096)
def _direction(word: str, dimension: int) -> np.ndarray:
    seed = zlib.crc32(word.encode("utf-8", "surrogatepass"))
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


class FakeEncoder:
    """Bag of words; texts that share words are near each other."""

    def __init__(self, dimension: int = 64, name: str = "fake") -> None:
        self.dimension = dimension
        self.fingerprint = f"{name}-{dimension}"
        self.calls = 0

    def encode(self, texts: list[str]) -> np.ndarray:
        self.calls += 1
        vectors = np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self.dimension)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)

    def _vector(self, text: str) -> np.ndarray:
        words = re.findall(r"\w+", text.lower())[:256]
        return sum((_direction(word, self.dimension) for word in words), np.zeros(self.dimension, np.float32))

    def windows(self, text: str, max_tokens: int = 256) -> list[str]:
        words = text.split()
        pieces = [" ".join(words[i : i + max_tokens]) for i in range(0, len(words), max_tokens)]
        return pieces or [text]


PNG, WAV = b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WAVE"


def picture(name: str) -> bytes:
    """Bytes that pass for an image, and tell a fake encoder what is in it."""
    return PNG + name.encode()


def sound(name: str) -> bytes:
    """Bytes that pass for a sound."""
    return WAV + name.encode()


class FakeImages(FakeEncoder):
    """Sees in an image the words after its signature; texts have the same space."""

    def __init__(self, dimension: int = 48, name: str = "images") -> None:
        super().__init__(dimension, name)

    def encode_image(self, images: list[bytes]) -> np.ndarray:
        return self.encode([data[len(PNG) :].decode() for data in images])


class FakeSounds(FakeEncoder):
    """Hears in a sound the words after its signature."""

    def __init__(self, dimension: int = 32, name: str = "sounds") -> None:
        super().__init__(dimension, name)

    def encode_audio(self, audio: list[bytes]) -> np.ndarray:
        return self.encode([data[len(WAV) :].decode() for data in audio])
