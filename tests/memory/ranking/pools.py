"""Pools for tests, random ones too."""

from __future__ import annotations

import numpy as np

from arrowmind.memory.ranking.memories import Told
from arrowmind.memory.ranking.pool import UNLABELLED, Pool, episodes_of


def random_pool(rng, n, terms=3):
    moments = np.sort(rng.integers(0, 10**12, n))
    linked = rng.random(n).astype(np.float32)
    return Pool(
        ids=np.arange(n, dtype=np.int64) * 3 + 1,
        told=[
            Told(
                f"{'Ann' if i % 2 else 'Ben'}: word {i} {'?' * (i % 3)} 3 days ago",
                int(moment),
                "ann",
            )
            for i, moment in enumerate(moments)
        ],
        cosines=rng.uniform(-1, 1, n).astype(np.float32),
        held=rng.random((n, terms)).astype(np.float32),
        rarity=rng.random(terms).astype(np.float32),
        before=np.arange(n) - 1,
        after=np.where(np.arange(n) + 1 < n, np.arange(n) + 1, -1),
        episodes=episodes_of(moments, np.full(n, UNLABELLED)),
        linked=linked,
        whole=np.ones(n, dtype=np.bool_),
    )
