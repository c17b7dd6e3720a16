"""The walk along links against a dense solve."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind.memory.ranking.memories import Edges
from arrowmind.memory.ranking.walk import walk


def random_graph(rng, n, density):
    weights = rng.random((n, n)) * (rng.random((n, n)) < density)
    np.fill_diagonal(weights, 0)
    return weights


def links_of(weights):
    """Looks links up in a dense matrix; ids are rows times 7."""

    def look_up(ids):
        sources, targets = np.nonzero(weights[ids // 7])
        return Edges(ids[sources], targets * 7, weights[ids[sources] // 7, targets])

    return look_up


def dense(weights, seeds, restart):
    """Shares that stop at each node: the exact answer."""
    out = weights.sum(1)
    steps = np.divide(weights, out[:, None], out=np.zeros_like(weights), where=out[:, None] > 0)
    stops = np.where(out > 0, restart, 1.0)
    visits = np.linalg.solve(np.eye(len(out)) - (steps * (1 - restart)).T, seeds)
    return visits * stops


@pytest.mark.parametrize("density", [0.02, 0.2, 1.0])
@pytest.mark.parametrize("restart", [0.2, 0.5, 0.9])
def test_many_rounds_give_the_exact_answer(rng, density, restart):
    n = 40
    weights = random_graph(rng, n, density)
    shares = rng.random(3)
    seeds = np.zeros(n)
    seeds[[4, 9, 30]] = shares / shares.sum()
    ids, stopped = walk(
        np.array([4, 9, 30]) * 7, shares, links_of(weights), restart=restart, rounds=120, active=n
    )
    found = np.zeros(n)
    found[ids // 7] = stopped
    # What is still on the way after 120 hops: (1 - restart) ** 120.
    np.testing.assert_allclose(found, dense(weights, seeds, restart), atol=(1 - restart) ** 120 + 1e-12)
    assert stopped.sum() <= 1 + 1e-12


def test_few_rounds_never_overstate(rng):
    weights = random_graph(rng, 60, 0.1)
    seeds = np.zeros(60)
    seeds[:5] = 0.2
    exact = dense(weights, seeds, 0.5)
    ids, stopped = walk(np.arange(5) * 7, np.full(5, 0.2), links_of(weights), rounds=2, active=8)
    assert np.all(stopped <= exact[ids // 7] + 1e-12)
    assert np.all(np.diff(ids) > 0)


def test_who_finds_no_link_stops():
    ids, stopped = walk(np.array([21]), np.array([5.0]), links_of(np.zeros((4, 4))), rounds=3)
    assert (ids.tolist(), stopped.tolist()) == ([21], [1.0])


def test_nobody_starts():
    ids, stopped = walk(np.empty(0, np.int64), np.empty(0), links_of(np.zeros((1, 1))))
    assert len(ids) == len(stopped) == 0
