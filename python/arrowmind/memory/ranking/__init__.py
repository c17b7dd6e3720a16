"""The order of what recall found: signals, their weights, and the walk along links.

It knows no files and no tables: `Memories` is all it asks of a store.

::

    question    what a query asks: terms, names, times, quoted phrases
    dates/      times that a query speaks of
    memories    what ranking asks of a store
    pool        the memories in question, as columns; gathering fills it
    walk        personalised PageRank along the links of a few memories
    signals/    one file for each thing that speaks for a memory
    weights     what each signal counts, learned and shipped as data; learning, by conditional logit
    strategies  ways to turn signals into one score; ranker applies one
    reranker    the place of a cross-encoder
"""

from __future__ import annotations

from arrowmind.memory.ranking.reranker import Reranker

__all__ = ["Reranker"]
