"""What is kept close at hand, and that bounds hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consolidate.samples import DAY, START, memory

from arrowmind.consolidate import Tier
from arrowmind.consolidate.tiering import (
    MemoryColumns,
    TierLimits,
    columns_of,
    open_policy,
    plan_tiers,
    policy_names,
)
from arrowmind.errors import ConfigurationError

NOW = START + 100 * DAY


def columns(count, **fields):
    plain = MemoryColumns(
        ids=np.arange(1, count + 1),
        tiers=np.zeros(count, np.int8),
        bytes=np.full(count, 1000),
        timestamps=np.full(count, START),
        last_access=np.full(count, START),
        access_counts=np.zeros(count, np.int64),
        rarity=np.full(count, 0.5),
        importance=np.full(count, 0.5),
    )
    return replace(plain, **{name: np.asarray(values) for name, values in fields.items()})


def test_the_policies():
    assert policy_names() == ["lru_tfidf", "value"]
    with pytest.raises(ConfigurationError, match=r"consolidation\.policy 'lru' is unknown"):
        open_policy("lru")


@pytest.mark.parametrize("name", policy_names())
@given(st.integers(0, 40), st.integers(0, 2**32))
def test_scores_are_numbers_whatever_comes(name, count, seed):
    rng = np.random.default_rng(seed)
    found = columns(
        count,
        timestamps=rng.integers(-(2**55), 2**55, count),
        last_access=rng.integers(-(2**55), 2**55, count),
        access_counts=rng.integers(0, 2**40, count),
        rarity=rng.random(count),
        bytes=rng.integers(1, 2**40, count),
    )
    scores = open_policy(name)(found, NOW)
    assert scores.shape == (count,)
    assert np.isfinite(scores).all()
    assert np.array_equal(scores, open_policy(name)(found, NOW))


def test_lru_tfidf_with_equal_moments():
    scores = open_policy("lru_tfidf")(columns(3, rarity=[0.1, 0.9, 0.1]), NOW)
    assert scores[1] > scores[0] == scores[2]


def test_lru_tfidf_prefers_the_recent_and_the_telling():
    policy = open_policy("lru_tfidf")
    recent = policy(columns(3, last_access=[START, START + DAY, START + 2 * DAY]), NOW)
    assert list(np.argsort(recent)) == [0, 1, 2]


def test_value_keeps_what_was_recalled_over_what_is_merely_there():
    found = columns(100, access_counts=[1] * 10 + [0] * 90, timestamps=START + np.arange(100))
    scores = open_policy("value")(found, NOW)
    best = set(np.argsort(-scores)[:20].tolist())
    assert set(range(10)) <= best  # recalled
    assert set(range(90, 100)) <= best  # the newest tenth is on trial


def test_value_weighs_recalls_freshness_and_rarity():
    base = {"access_counts": [2, 2], "last_access": [NOW, NOW]}
    for fields in (
        {"access_counts": [9, 1]},
        {"last_access": [NOW, NOW - 60 * DAY]},
        {"rarity": [0.9, 0.1]},
        {"importance": [0.9, 0.1]},
    ):
        first, second = open_policy("value")(columns(2, **{**base, **fields}), NOW)
        assert first > second, fields


@given(st.integers(1, 60), st.integers(0, 70_000), st.floats(0, 1), st.integers(0, 2**32))
def test_bounds_hold_and_no_more_moves_than_needed(count, hot_bytes, share, seed):
    rng = np.random.default_rng(seed)
    found = columns(
        count,
        bytes=rng.integers(1, 3000, count),
        access_counts=rng.integers(0, 4, count),
        tiers=rng.integers(0, 4, count).astype(np.int8),
    )
    moves = plan_tiers(found, open_policy("value"), TierLimits(hot_bytes=hot_bytes, hot_share=share), NOW)
    after = found.tiers.copy()
    for id_, tier in moves.items():
        assert tier > after[id_ - 1]  # colder only
        after[id_ - 1] = tier
    near = found.bytes[after < Tier.COLD].sum()
    assert not hot_bytes or near <= hot_bytes
    evicted = [id_ for id_, tier in moves.items() if tier is Tier.COLD]
    if evicted:
        scores = open_policy("value")(found, NOW)
        best = max(evicted, key=lambda id_: (scores[id_ - 1], id_))
        assert near + found.bytes[best - 1] > hot_bytes


def test_age_alone():
    found = columns(
        4, last_access=[NOW, NOW - 10 * DAY, NOW - 40 * DAY, NOW - 40 * DAY], access_counts=[1] * 4
    )
    limits = TierLimits(cold_days=7, archive_days=30)
    assert plan_tiers(found, open_policy("value"), limits, NOW) == {
        2: Tier.COLD,
        3: Tier.ARCHIVED,
        4: Tier.ARCHIVED,
    }
    assert plan_tiers(found, open_policy("value"), TierLimits(), NOW) == {}
    assert plan_tiers(columns(0), open_policy("value"), limits, NOW) == {}


def test_limits_that_cannot_be():
    with pytest.raises(ConfigurationError, match="hot_share"):
        TierLimits(hot_share=1.5)
    with pytest.raises(ConfigurationError, match="archive_days"):
        TierLimits(cold_days=9, archive_days=3)


def test_columns_of_memories():
    found = [
        memory(1, "the the the the the the the the the the the the"),
        memory(2, "the zebra quagga okapi", access_count=3, last_access=START + DAY),
        memory(3, "the sea"),
        memory(4, "\U0001f40b!"),
    ]
    made = columns_of(lambda: iter(found))
    assert made.ids.tolist() == [1, 2, 3, 4]
    assert made.rarity[1] == 1.0
    assert made.rarity[1] > made.rarity[0]  # length is worth nothing
    assert made.rarity[3] <= 1.0
    assert made.access_counts.tolist() == [0, 3, 0, 0]
    assert made.last_access.tolist() == [START, START + DAY, START, START]
    assert (made.bytes > 64 + 8).all()
    assert len(columns_of(lambda: iter(()))) == 0
