"""Blocks of a text that left the window: kept on disk, graded, found again.

::

    block       a block: tokens, terms, summary, keys and values in its grade
    terms       token ids -> hashed runs of one to three; how rare they are
    grading     which blocks are kept exactly, which in codes, which as tokens alone
    part        one file of blocks; store: all of them, in bounded memory
    recalling   which blocks a question needs

Nothing here knows a model: `engine.reading` does.
"""

from __future__ import annotations

from arrowmind.streaming.block import GRADES, Block, Grade
from arrowmind.streaming.grading import Grader, GradingRules
from arrowmind.streaming.recalling import Found, RecallWeights, find_blocks
from arrowmind.streaming.store import BlockStore, StoreIdentity
from arrowmind.streaming.terms import TermCounts, block_terms, overlap_of, query_terms

__all__ = [
    "GRADES",
    "Block",
    "BlockStore",
    "Found",
    "Grade",
    "Grader",
    "GradingRules",
    "RecallWeights",
    "StoreIdentity",
    "TermCounts",
    "block_terms",
    "find_blocks",
    "overlap_of",
    "query_terms",
]
