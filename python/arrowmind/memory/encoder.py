"""What turns text into vectors, as the store sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.storage.spaces import AUDIO, IMAGE, TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]

__all__ = [
    "EXTERNAL",
    "WINDOW_TOKENS",
    "AudioEncoder",
    "Encoders",
    "ImageEncoder",
    "TextEncoder",
    "check_vectors",
    "embed_texts",
]

WINDOW_TOKENS = 256
"""Tokens of one window: sentence encoders of the MiniLM class read no further."""

EXTERNAL = "external"
"""Fingerprint of a store whose vectors are all given by the caller."""


class TextEncoder(Protocol):
    """An encoder such as `arrowmind.ArrowEngine`."""

    @property
    def dimension(self) -> int:
        """Values per vector."""

    @property
    def fingerprint(self) -> str:
        """Tells encoders apart whose vectors must not be mixed."""

    def encode(self, texts: list[str]) -> FloatArray:
        """Vectors float32 [len(texts), dimension]."""

    def windows(self, text: str, max_tokens: int = WINDOW_TOKENS) -> list[str]:
        """The text cut into pieces of at most ``max_tokens`` tokens; at least one piece."""


class ImageEncoder(Protocol):
    """An encoder of images such as an `arrowmind.ArrowEngine` of a CLIP model."""

    @property
    def dimension(self) -> int:
        """Values per vector."""

    @property
    def fingerprint(self) -> str:
        """Tells encoders apart whose vectors must not be mixed."""

    def encode_image(self, images: list[bytes]) -> FloatArray:
        """Vectors float32 [len(images), dimension] of the bytes of image files."""

    def encode(self, texts: list[str]) -> FloatArray:
        """Vectors float32 [len(texts), dimension] of texts, in the space of the images."""


class AudioEncoder(Protocol):
    """An encoder of sounds such as an `arrowmind.ArrowEngine` of a Whisper model."""

    @property
    def dimension(self) -> int:
        """Values per vector."""

    @property
    def fingerprint(self) -> str:
        """Tells encoders apart whose vectors must not be mixed."""

    def encode_audio(self, audio: list[bytes]) -> FloatArray:
        """Vectors float32 [len(audio), dimension] of the bytes of sound files."""


@dataclass(frozen=True)
class Encoders:
    """What makes vectors of what is remembered; each may be missing."""

    text: TextEncoder | None = None
    image: ImageEncoder | None = None
    audio: AudioEncoder | None = None

    def fingerprint(self, space: str) -> str:
        """Of the encoder of a space; `EXTERNAL` where callers give the vectors."""
        encoder = {TEXT: self.text, IMAGE: self.image, AUDIO: self.audio}.get(space)
        return encoder.fingerprint if encoder else EXTERNAL


def embed_texts(encoder: TextEncoder, texts: Sequence[str]) -> list[FloatArray]:
    """Vectors of each text, one per window: float32 [windows, dimension] for each."""
    pieces = [encoder.windows(text, WINDOW_TOKENS) or [text] for text in texts]
    flat = check_vectors(
        encoder.encode([piece for group in pieces for piece in group]), "the encoder's result"
    )
    ends = np.cumsum([len(group) for group in pieces])[:-1]
    if len(flat) != sum(map(len, pieces)):
        raise InvalidArgumentError(f"the encoder gave {len(flat)} vectors for {sum(map(len, pieces))} texts")
    return np.split(flat, ends)


def check_vectors(values: Any, name: str) -> FloatArray:
    """``values`` as contiguous float32 [n, dimension].

    Raises:
        InvalidArgumentError: another shape, or a value that is not finite.
    """
    try:
        vectors = np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name}: is no array of numbers; give float32 [n, dimension]") from error
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise InvalidArgumentError(f"{name}: has shape {vectors.shape}; give float32 [n, dimension]")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise InvalidArgumentError(f"{name}: row {int(np.argmin(finite))} has values that are not finite")
    return vectors
