"""Memories for tests."""

from __future__ import annotations

import numpy as np
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.consolidate import SourceMemory

ENCODER = FakeEncoder()
DAY = 86_400 * 1_000_000
START = 1_700_000_000 * 1_000_000  # 14 November 2023


def memory(id_, text, *, day=0.0, **fields):
    (vector,) = ENCODER.encode([text])
    return SourceMemory(id_, text, vector, START + round(day * DAY), **fields)


def memories(*texts, day=0.0):
    return tuple(memory(i, text, day=day + i / 1440) for i, text in enumerate(texts, start=1))


def embed(texts):
    return ENCODER.encode(list(texts))


def exact_nearest(found):
    """A scan over these memories."""
    ids = [one.id for one in found]
    vectors = np.stack([one.vector for one in found])

    def nearest(vector, count):
        cosines = vectors @ vector
        return [(ids[i], float(cosines[i])) for i in np.argsort(-cosines, kind="stable")[:count]]

    return nearest
