"""Packs token ids end to end, longest first, in pieces that keep memory bounded."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from arrowmind.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["PackedBatch", "pack", "slices"]

# Characters of text tokenised at a time: bounds the memory of token lists, whatever the input.
_SLICE_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class PackedBatch:
    """Sequences without padding.

    Attributes:
        token_ids: int32 [tokens].
        offsets: int32 [sequences + 1]; sequence i is token_ids[offsets[i]:offsets[i + 1]].
        order: int64 [sequences]; packed sequence i was given at place order[i].
    """

    token_ids: NDArray[np.int32]
    offsets: NDArray[np.int32]
    order: NDArray[np.int64]


def pack(sequences: Sequence[Sequence[int]]) -> PackedBatch:
    """Packs `sequences`, longest first: the last pieces of work are then small, and threads end together."""
    lengths = np.fromiter((len(ids) for ids in sequences), dtype=np.int64, count=len(sequences))
    order = np.argsort(-lengths, kind="stable")
    offsets = np.zeros(len(sequences) + 1, dtype=np.int32)
    np.cumsum(lengths[order], out=offsets[1:])
    ids = chain.from_iterable(sequences[index] for index in order)
    return PackedBatch(np.fromiter(ids, dtype=np.int32, count=int(offsets[-1])), offsets, order)


def slices(texts: Sequence[str], most: int) -> Iterator[slice]:
    """Consecutive slices of at most `most` texts and about a million characters, each at least one text."""
    begin = 0
    while begin < len(texts):
        end, characters = begin + 1, len(texts[begin])
        while end < len(texts) and end - begin < most and characters + len(texts[end]) <= _SLICE_CHARACTERS:
            characters += len(texts[end])
            end += 1
        yield slice(begin, end)
        begin = end
