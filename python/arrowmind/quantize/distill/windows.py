"""Windows of tokens to train a decoder on, by seed and step."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Windows"]


class Windows:
    """Batches of windows of one length, without padding.

    Texts are cut into pieces of at most a window; pieces follow each other in a drawn order, and where one
    ends inside a window the next begins. Each window begins with a piece, so that beginnings of texts are
    learned at the places where they stand.

    Example::

        windows = Windows(texts, length=256, size=8, seed=0)
        windows[17]  # the token ids of step 17, 8 lists of 256
    """

    def __init__(self, texts: Sequence[Sequence[int]], *, length: int, size: int, seed: int) -> None:
        """Sets up batches.

        Args:
            texts: token ids; those without any are left out.
            length: tokens of a window.
            size: windows of a batch.
            seed: equal seeds give equal batches.
        """
        self._pieces = [
            list(text[begin : begin + length]) for text in texts for begin in range(0, len(text), length)
        ] or [[0]]
        self._length, self._size, self._seed = length, size, seed
        # Each window but the last of a round uses up a piece at least.
        self._per_round = max(1, sum(map(len, self._pieces)) // length)
        self._round, self._held = -1, [[0]]

    def __getitem__(self, step: int) -> list[list[int]]:
        return [self._window(step * self._size + place) for place in range(self._size)]

    def _window(self, number: int) -> list[int]:
        round_, place = divmod(number, self._per_round)
        if round_ != self._round:
            self._round, self._held = round_, self._joined(round_)
        return self._held[place]

    def _joined(self, round_: int) -> list[list[int]]:
        """The windows of a round; where pieces have run out, all are drawn again."""
        chance = random.Random(self._seed * 1_000_003 + round_)
        windows: list[list[int]] = []
        order: list[int] = []
        while len(windows) < self._per_round:
            window: list[int] = []
            while len(window) < self._length:
                if not order:
                    order = list(range(len(self._pieces)))
                    chance.shuffle(order)
                window += self._pieces[order.pop()]
            windows.append(window[: self._length])
        return windows
