"""Token ids to train on, by seed and step: a training that goes on sees what it would have seen."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from arrowmind.quantize.corpus import pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Batches"]

_TOGETHER = 8
"""Batches that are cut at a time and sorted by length, so that little is padded."""


class Batches:
    """Batches of pieces of texts.

    Example::

        batches = Batches(texts, tokenise, size=32, seed=0)
        batches[17]  # the token ids of step 17
    """

    def __init__(
        self, texts: Sequence[str], tokenise: Callable[[list[str]], list[list[int]]], size: int, seed: int
    ) -> None:
        self._texts, self._tokenise, self._size, self._seed = texts, tokenise, size, seed
        self._round, self._held = -1, [[[0]]]

    def __getitem__(self, step: int) -> list[list[int]]:
        if step // _TOGETHER != self._round:
            self._round = step // _TOGETHER
            self._held = self._cut(self._round)
        return self._held[step % _TOGETHER]

    def _cut(self, round_: int) -> list[list[list[int]]]:
        seed = self._seed * 1_000_003 + round_
        cut = self._tokenise(pieces(self._texts, self._size * _TOGETHER, seed))
        cut.sort(key=len)
        batches = [cut[at : at + self._size] for at in range(0, len(cut), self._size)]
        random.Random(seed).shuffle(batches)
        return batches
