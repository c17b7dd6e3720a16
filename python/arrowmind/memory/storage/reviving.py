"""Vectors of cold memories, made again from their texts."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from arrowmind.memory.encoder import embed_texts
from arrowmind.memory.storage.vectors import quantise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from arrowmind.memory.encoder import TextEncoder

    Vectors = tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]

__all__ = ["Reviver"]

_KEPT = 4096


class Reviver:
    """Encodes texts as they were encoded when they were remembered, and keeps the last results."""

    def __init__(self, encoder: TextEncoder | None) -> None:
        """Takes the encoder of the store; without one nothing can be made again."""
        self._encoder = encoder
        self._kept: OrderedDict[tuple[str, int], Vectors] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def is_able(self) -> bool:
        """Whether there is an encoder."""
        return self._encoder is not None

    @property
    def fingerprint(self) -> str:
        """Of the encoder; empty if there is none."""
        return "" if self._encoder is None else self._encoder.fingerprint

    def vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """Codes int8 [windows, dimension] and scales float32 [windows] of each text."""
        if self._encoder is None or not texts:
            return []
        return [quantise(part) for part in embed_texts(self._encoder, texts)]

    def kept_vectors(self, name: str, numbers: Sequence[int], read: Callable[[int], str]) -> list[Vectors]:
        """The same of memories of a file, which are encoded once.

        Args:
            name: of the file.
            numbers: of the memories in it.
            read: gives the text of one.
        """
        with self._lock:
            known = {number: self._kept.get((name, number)) for number in numbers}
        missing = [number for number, found in known.items() if found is None]
        made = dict(zip(missing, self.vectors([read(number) for number in missing]), strict=True))
        with self._lock:
            for number in numbers:
                self._kept[name, number] = known[number] or made[number]
                self._kept.move_to_end((name, number))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return [known[number] or made[number] for number in numbers]
