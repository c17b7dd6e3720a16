"""An encoder that may rest between texts: a batch of them is the longest piece of work of a consolidation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arrowmind.memory.encoder import WINDOW_TOKENS
from arrowmind.memory.resting import may_rest

if TYPE_CHECKING:
    import numpy.typing as npt

    from arrowmind.memory import TextEncoder

    FloatArray = npt.NDArray[np.float32]

__all__ = ["UnhurriedEncoder"]

# Of some hundred characters each: about as many milliseconds.
_TOGETHER = 2


class UnhurriedEncoder:
    """Another encoder, a few texts at a time. Vectors are the same up to rounding."""

    def __init__(self, encoder: TextEncoder) -> None:
        """Takes the encoder; it stays the caller's."""
        self._encoder = encoder

    @property
    def dimension(self) -> int:
        """Values per vector."""
        return self._encoder.dimension

    @property
    def fingerprint(self) -> str:
        """That of the encoder."""
        return self._encoder.fingerprint

    def encode(self, texts: list[str]) -> FloatArray:
        """Vectors float32 [len(texts), dimension]."""
        parts = []
        for start in range(0, max(len(texts), 1), _TOGETHER):
            may_rest()
            parts.append(np.asarray(self._encoder.encode(texts[start : start + _TOGETHER])))
        vectors: FloatArray = np.concatenate(parts)
        return vectors

    def windows(self, text: str, max_tokens: int = WINDOW_TOKENS) -> list[str]:
        """As the encoder cuts it."""
        return self._encoder.windows(text, max_tokens)
