"""Vectors of cold memories, made again from their texts.

A recall would wait for its encoder, so what was made is kept, and so are vectors that this process still has
of memories that became cold while it looked on.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from arrowmind.memory.encoder import embed_texts
from arrowmind.memory.storage.vectors import quantise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from arrowmind.memory.encoder import TextEncoder

    Vectors = tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]

__all__ = ["MOST_KEPT", "Reviver"]

MOST_KEPT = 4096
"""Memories whose vectors are kept."""


class Reviver:
    """Encodes texts as they were encoded when they were remembered, and keeps the last results."""

    def __init__(self, encoder: TextEncoder | None) -> None:
        """Takes the encoder of the store; without one nothing can be made again."""
        self._encoder = encoder
        self._kept: OrderedDict[int, Vectors] = OrderedDict()
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

    def kept_vectors(self, ids: Sequence[int], read: Callable[[int], str]) -> list[Vectors]:
        """The same of memories, which are encoded once. A text never changes, so files they move to do not
        matter.

        Args:
            ids: of the memories.
            read: gives the text of one.
        """
        with self._lock:
            known = {id_: self._kept.get(id_) for id_ in ids}
        missing = [id_ for id_, found in known.items() if found is None]
        made = dict(zip(missing, self.vectors([read(id_) for id_ in missing]), strict=True))
        found = {id_: known[id_] or made[id_] for id_ in ids}
        self.keep(found)
        return [found[id_] for id_ in ids]

    def keep(self, vectors: Mapping[int, Vectors]) -> None:
        """Keeps vectors of memories by their ids in place of those that were not asked for longest."""
        with self._lock:
            for id_, found in vectors.items():
                self._kept[id_] = found
                self._kept.move_to_end(id_)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
