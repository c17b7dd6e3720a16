"""Token ids to train on, by seed and step: a training that goes on sees what it would have seen."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from arrowmind.quantize.corpus import cut, sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Batches"]

_TOGETHER = 8
"""Batches that are cut at a time and sorted by length, so that little is padded."""
_NOISE = 0.15
"""Part of the tokens that are any of the vocabulary, in every second piece: what the original does with words
that the texts lack is learned, too. Cosines on texts of another kind rise by 0.01, the smallest by more."""


class Batches:
    """Batches of pieces of texts.

    Example::

        batches = Batches(texts, tokenise, size=32, vocabulary=30522, seed=0)
        batches[17]  # the token ids of step 17
    """

    def __init__(
        self,
        texts: Sequence[str],
        tokenise: Callable[[list[str]], list[list[int]]],
        *,
        size: int,
        vocabulary: int,
        seed: int,
    ) -> None:
        """Sets up batches.

        Args:
            texts: to cut pieces from.
            tokenise: gives token ids, special tokens included.
            size: pieces of a batch.
            vocabulary: number of tokens there are.
            seed: equal seeds give equal batches.
        """
        self._sentences, self._tokenise, self._size = sentences(texts), tokenise, size
        self._vocabulary, self._seed = vocabulary, seed
        self._round, self._held = -1, [[[0]]]

    def __getitem__(self, step: int) -> list[list[int]]:
        if step // _TOGETHER != self._round:
            self._round = step // _TOGETHER
            self._held = self._cut(self._round)
        return self._held[step % _TOGETHER]

    def _cut(self, round_: int) -> list[list[list[int]]]:
        seed = self._seed * 1_000_003 + round_
        chance = random.Random(seed)
        pieces = self._tokenise(cut(self._sentences, self._size * _TOGETHER, seed))
        for piece in pieces:
            if chance.random() < 0.5:
                self._disturb(piece, chance)
        pieces.sort(key=len)
        batches = [pieces[at : at + self._size] for at in range(0, len(pieces), self._size)]
        chance.shuffle(batches)
        return batches

    def _disturb(self, piece: list[int], chance: random.Random) -> None:
        """Puts any token in the place of some; the first and the last are special, and stay."""
        for at in range(1, len(piece) - 1):
            if chance.random() < _NOISE:
                piece[at] = chance.randrange(self._vocabulary)
