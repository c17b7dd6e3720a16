"""What sequences gain in one call, and how it is cut into forwards."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Feed", "Piece", "forwards", "rows_of"]


class Feed(NamedTuple):
    """Tokens that a sequence gains, and of how many of the last logits are wanted."""

    handle: int
    tokens: NDArray[np.int32]
    rows: int


class Piece(NamedTuple):
    """Tokens [begin, end) of the feed at place `feed`: its part of one forward."""

    feed: int
    begin: int
    end: int


def rows_of(feeds: Sequence[Feed]) -> Iterator[tuple[int, int]]:
    """Where the rows of each begin and end; `np.split` takes as long as the layers of a small model."""
    return pairwise((0, *accumulate(feed.rows for feed in feeds)))


def forwards(feeds: list[Feed], most: int) -> Iterator[list[Piece]]:
    """Cuts feeds into forwards of at most `most` tokens, short feeds first."""
    done = [0] * len(feeds)
    waiting = sorted(range(len(feeds)), key=lambda place: len(feeds[place].tokens))
    while waiting:
        pieces, room = [], most
        for place in waiting:
            count = min(room, len(feeds[place].tokens) - done[place])
            if count == 0:
                break
            pieces.append(Piece(place, done[place], done[place] + count))
            done[place] += count
            room -= count
        waiting = [place for place in waiting if done[place] < len(feeds[place].tokens)]
        yield pieces
