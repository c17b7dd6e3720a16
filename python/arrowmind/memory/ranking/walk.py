"""Personalised PageRank by forward push: only what lies near the seeds is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from arrowmind.memory.ranking.memories import Edges

    IntArray = npt.NDArray[np.int64]
    Shares = npt.NDArray[np.float64]

__all__ = ["RESTART", "walk"]

RESTART = 0.5
"""Share of the walkers at a memory that stop there; the others go on along a link."""


def walk(
    seeds: IntArray,
    shares: Shares,
    links: Callable[[IntArray], Edges],
    *,
    restart: float = RESTART,
    rounds: int = 2,
    active: int = 48,
) -> tuple[IntArray, Shares]:
    """Where walkers from the seeds stop. Exact as ``rounds`` and ``active`` grow.

    Args:
        seeds: int64 [n], where they start, each once.
        shares: float64 [n], how many of them, 0 or more.
        links: looks up the links of some memories; a walker takes one in proportion to its weight.
        restart: share that stops at each memory; who finds no link stops, too.
        rounds: how often links are looked up, one hop each.
        active: memories that walkers leave in each round, those with the most of them.

    Returns:
        Ids, ascending, and the share of walkers that stopped at each: they sum to at most 1, and what is
        missing was still on the way.
    """
    total = float(shares.sum())
    if not total > 0:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    ids, waiting = _summed(seeds, shares / total)
    stopped: list[tuple[IntArray, Shares]] = []
    for _ in range(rounds):
        order = np.argsort(-waiting, kind="stable")
        # Ascending, as `_push` looks links up by their sources.
        leaving, staying = np.sort(order[:active]), order[active:]
        ends, arrived = _push(ids[leaving], waiting[leaving], links(ids[leaving]), restart)
        stopped.append((ids[leaving], ends))
        ids, waiting = _summed(
            np.concatenate([ids[staying], arrived[0]]), np.concatenate([waiting[staying], arrived[1]])
        )
    stopped.append((ids, restart * waiting))
    return _summed(np.concatenate([at for at, _ in stopped]), np.concatenate([share for _, share in stopped]))


def _push(
    ids: IntArray, waiting: Shares, edges: Edges, restart: float
) -> tuple[Shares, tuple[IntArray, Shares]]:
    """Who stops at each of these memories, and who arrives where."""
    rows = np.searchsorted(ids, edges.sources)
    out = np.bincount(rows, edges.weights, minlength=len(ids))
    ends = np.where(out > 0, restart, 1.0) * waiting
    moved = (1 - restart) * waiting[rows] * edges.weights / out[rows]
    return ends, (edges.targets, moved)


def _summed(ids: IntArray, shares: Shares) -> tuple[IntArray, Shares]:
    """Each id once, ascending, with the sum of its shares."""
    distinct, places = np.unique(ids, return_inverse=True)
    totals: Shares = np.bincount(places, shares, minlength=len(distinct)).astype(np.float64)
    return distinct, totals
