"""Token ids -> terms: hashed runs of one, two and three tokens.

Words are not looked for: runs of tokens need no language, and vocabularies of any size work, as long runs
are rare where single tokens are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["TermCounts", "block_terms", "overlap_of", "query_terms", "term_columns", "terms_at"]

RUNS = 3
"""Tokens of the longest run."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_BUCKETS = 1 << 16


def terms_at(tokens: Sequence[int] | NDArray[np.int32]) -> NDArray[np.uint32]:
    """The terms that end at each token.

    Returns:
        uint32 [len(tokens), RUNS]: the run of one, of two, of three tokens; 0 where there is none.
    """
    ids = np.asarray(tokens).astype(np.uint64) + np.uint64(1)
    found = np.zeros((len(ids), RUNS), np.uint32)
    state = np.zeros(len(ids), np.uint64)
    for run in range(RUNS):
        # Sequences of tokens, the last one first: each longer run goes on where the shorter one stopped.
        state = state[min(run, 1) :] ^ ids[: max(len(ids) - run, 0)]
        state = (state * _MIX) ^ (state >> np.uint64(29))
        value = ((state * _SPREAD) >> np.uint64(32)).astype(np.uint32)
        found[run:, run] = np.maximum(value, 1)
    return found


def overlap_of(block_tokens: int) -> int:
    """Tokens before a block whose terms are its own as well.

    What a question looks for may stand across the edge of two blocks, or behind the words it shares with the
    question: then it is in the block that the match is found in, or in the next one, which is found too.
    """
    return block_tokens // 4


def term_columns(block_tokens: int) -> int:
    """Most terms of a block."""
    return RUNS * (block_tokens + overlap_of(block_tokens))


def block_terms(tokens: Sequence[int] | NDArray[np.int32], before: Sequence[int] = ()) -> NDArray[np.uint32]:
    """Terms of a block and of the last `overlap_of` tokens before it, each once.

    Returns:
        uint32 [term_columns], zeros first, then ascending.
    """
    overlap = list(before)[-overlap_of(len(tokens)) :]
    found = np.unique(terms_at([*overlap, *tokens]))
    found = found[found > 0]
    terms = np.zeros(term_columns(len(tokens)), np.uint32)
    if len(found):
        terms[-len(found) :] = found
    return terms


def query_terms(tokens: Sequence[int] | NDArray[np.int32]) -> NDArray[np.uint32]:
    """Terms of a question, each once, ascending."""
    found = np.unique(terms_at(tokens))
    return found[found > 0]


class TermCounts:
    """In how many blocks terms stand, about: counted in buckets, in constant memory."""

    def __init__(self) -> None:
        self.blocks = 0
        self._counts = np.zeros(_BUCKETS, np.uint32)

    def add(self, terms: NDArray[np.uint32]) -> None:
        """Counts the terms of one block."""
        self.blocks += 1
        self._counts[np.unique(terms[terms > 0] % _BUCKETS)] += 1

    def add_all(self, terms: NDArray[np.uint32]) -> None:
        """Counts the terms of several blocks, uint32 [blocks, terms]."""
        for row in terms:
            self.add(row)

    def rarity(self, terms: NDArray[np.uint32]) -> float:
        """Mean of log(blocks / blocks that hold it) over terms; 0 without terms."""
        known = terms[terms > 0]
        if not len(known):
            return 0.0
        holders = self._counts[known % _BUCKETS]
        return float(np.log((self.blocks + 1) / (holders + 1)).mean())
