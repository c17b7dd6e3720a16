"""Windows of tokens to train a decoder on, by seed and step."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrowmind.quantize.distill.schedule import Schedule

__all__ = ["ScheduledWindows", "Windows"]


class Windows:
    """Batches of windows of one length, without padding.

    Texts are cut into pieces of at most a window; pieces follow each other in a drawn order, and where one
    ends inside a window the next begins. Each window begins with a piece, so that beginnings of texts are
    learned at the places where they stand.

    Example::

        windows = Windows(texts, length=256, size=8, seed=0)
        windows[17]  # the token ids of step 17, 8 lists of 256
    """

    def __init__(
        self, texts: Sequence[Sequence[int]], *, length: int, size: int | Sequence[int], seed: int
    ) -> None:
        """Sets up batches.

        Args:
            texts: token ids; those without any are left out.
            length: tokens of a window.
            size: windows of a batch, or of each step's. They are counted on from step to step, so that no
                window comes again before all others have come, whatever the sizes.
            seed: equal seeds give equal batches.
        """
        self._pieces = [
            list(text[begin : begin + length]) for text in texts for begin in range(0, len(text), length)
        ] or [[0]]
        self._length, self._size, self._seed = length, size, seed
        self._begins = [] if isinstance(size, int) else [0, *accumulate(size)]
        # Each window but the last of a round uses up a piece at least.
        self._per_round = max(1, sum(map(len, self._pieces)) // length)
        self._round, self._held = -1, [[0]]

    def __getitem__(self, step: int) -> list[list[int]]:
        if isinstance(self._size, int):
            begin, end = step * self._size, (step + 1) * self._size
        else:
            begin, end = self._begins[step], self._begins[step + 1]
        return [self._window(number) for number in range(begin, end)]

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


class ScheduledWindows:
    """Batches of windows as a schedule wants them: first short ones, then whole ones.

    Attention costs a short window half as much for each token, and most of what is far away is learned
    beside the rest when windows are whole.
    """

    def __init__(self, texts: Sequence[Sequence[int]], schedule: Schedule, *, length: int, seed: int) -> None:
        """Sets up batches; arguments as of :class:`Windows`, ``length`` that of a whole window."""
        sizes = schedule.sizes()
        self._turn = round(schedule.short * schedule.steps) if length > 1 else 0
        twice = [2 * size for size in sizes[: self._turn]]
        self._short = Windows(texts, length=max(1, length // 2), size=twice, seed=seed)
        self._whole = Windows(texts, length=length, size=sizes[self._turn :], seed=seed)

    def __getitem__(self, step: int) -> list[list[int]]:
        return self._short[step] if step < self._turn else self._whole[step - self._turn]
