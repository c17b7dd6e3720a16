"""A great many memories with vectors of a real encoder, the same ones on every run.

A memory says two paragraphs of the standard library's documentation. Its vector lies between theirs, with
noise: they are encoded once each, a million pairs of them never. Other paragraphs are asked for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.bench.corpus import library_paragraphs

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from arrowmind.memory import TextEncoder
    from arrowmind.observe import Progress

    FloatArray = npt.NDArray[np.float32]

__all__ = ["CHUNK", "MOMENT", "Crowd"]

CHUNK = 10_000
"""Memories that are made together."""
MOMENT = 1_600_000_000.0
"""When the first memory was told, seconds since 1970."""

_SEED = 20261122
_QUERIES = 400
_SHORTEST, _LONGEST = 30, 300
_LONGEST_QUERY = 100
_BATCH = 256
_SECOND, _NOISE = 0.6, 0.3
_SECONDS_APART = 60.0


@dataclass(frozen=True)
class Crowd:
    """The memories.

    Attributes:
        texts: paragraphs that memories are made of.
        vectors: float32 [texts, dimension].
        queries: other paragraphs.
    """

    texts: list[str]
    vectors: FloatArray
    queries: list[str]

    @classmethod
    def of(cls, encoder: TextEncoder, cache: Path, progress: Progress) -> Crowd:
        """Encodes the paragraphs, unless an earlier run has.

        Args:
            encoder: makes the vectors.
            cache: folder where they are kept.
            progress: called with (paragraphs done, all of them, "paragraphs").
        """
        fitting = [text[:_LONGEST] for text in library_paragraphs() if len(text) >= _SHORTEST]
        # People ask shortly.
        short = [text for text in fitting if len(text) <= _LONGEST_QUERY]
        queries = short[: min(_QUERIES, len(fitting) // 10)]
        asked = set(queries)
        texts = [text for text in fitting if text not in asked]
        told = "\n".join([encoder.fingerprint, *texts])
        kept = cache / f"paragraphs-{hashlib.sha256(told.encode()).hexdigest()[:16]}.npy"
        if kept.exists():
            return cls(texts, np.load(kept, allow_pickle=False), queries)
        vectors = _encode(encoder, texts, progress)
        cache.mkdir(parents=True, exist_ok=True)
        np.save(kept, vectors, allow_pickle=False)
        return cls(texts, vectors, queries)

    def chunk(self, number: int) -> tuple[list[str], FloatArray, list[float]]:
        """Texts, vectors of length 1 and moments of `CHUNK` memories that follow each other."""
        chance = np.random.default_rng([_SEED, number])
        first, second = chance.integers(0, len(self.texts), (2, CHUNK))
        width = self.vectors.shape[1]
        noise = chance.standard_normal((CHUNK, width), dtype=np.float32) * np.float32(_NOISE / width**0.5)
        mixed = self.vectors[first] + np.float32(_SECOND) * self.vectors[second] + noise
        unit: FloatArray = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        texts = [f"{self.texts[a]} {self.texts[b]}" for a, b in zip(first, second, strict=True)]
        start = number * CHUNK
        return texts, unit, [MOMENT + _SECONDS_APART * (start + place) for place in range(CHUNK)]


def _encode(encoder: TextEncoder, texts: list[str], progress: Progress) -> FloatArray:
    parts = []
    for start in range(0, len(texts), _BATCH):
        parts.append(encoder.encode(texts[start : start + _BATCH]))
        progress(min(start + _BATCH, len(texts)), len(texts), "paragraphs")
    vectors: FloatArray = np.concatenate(parts).astype(np.float32)
    return vectors
