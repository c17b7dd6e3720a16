"""Episodes are ranked by their best memory and by all they hold; their parts sum to what orders them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from tests.memory.ranking.pools import random_pool

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.ranking.episodes import (
    EPISODE_SIGNALS,
    best_of_each_first,
    best_of_episodes,
    episode_signals,
    rank_episodes,
)
from arrowmind.memory.ranking.question import make_question
from arrowmind.memory.ranking.weights import checked_episode_weights, shipped_episode_weights

QUESTION = make_question("What word did Ann say?", datetime(2026, 11, 21, tzinfo=timezone.utc), {"ann"})


def pool_of(rng, n):
    pool = random_pool(rng, n, len(QUESTION.terms))
    return replace(pool, episodes=np.sort(rng.integers(0, max(n // 4, 1), n)))


@hypothesis.given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_parts_order_all_episodes(n, seed):
    rng = np.random.default_rng(seed)
    pool, scores = random_pool(rng, n, len(QUESTION.terms)), rng.random(n)
    ranked = rank_episodes(QUESTION, pool, scores, shipped_episode_weights(), 100)
    assert sorted(np.concatenate([item.rows for item in ranked]).tolist() if n else []) == list(range(n))
    sums = [sum(item.parts.values()) for item in ranked]
    assert sums == sorted(sums, reverse=True)
    for item in ranked:
        assert (np.diff(scores[item.rows]) <= 0).all()
        assert len(set(pool.episodes[item.rows].tolist())) == 1


def test_every_signal_is_a_finite_column(rng):
    pool = pool_of(rng, 30)
    values = episode_signals(QUESTION, pool)
    assert values.shape == (int(pool.episodes.max()) + 1, len(EPISODE_SIGNALS) - 1)
    assert np.isfinite(values).all()
    assert set(shipped_episode_weights()) == set(EPISODE_SIGNALS)


def test_a_query_without_terms_has_no_rare_words(rng):
    question = make_question("!?", datetime(2026, 11, 21, tzinfo=timezone.utc))
    values = episode_signals(question, random_pool(rng, 10, 0))
    assert not values[:, EPISODE_SIGNALS.index("rare_words") - 1].any()


def test_an_episode_that_keeps_to_the_subject_comes_before_one_that_mentions_it(rng):
    pool = replace(
        random_pool(rng, 6, len(QUESTION.terms)),
        episodes=np.array([0, 0, 0, 1, 1, 1]),
        linked=np.array([0, 0, 0.1, 0.5, 0.4, 0.5], np.float32),
        cosines=np.full(6, 0.3, np.float32),
        held=np.ones((6, len(QUESTION.terms)), np.float32),
    )
    scores = np.array([0.1, 0.1, 0.51, 0.5, 0.4, 0.5])
    assert best_of_episodes(pool, scores).tolist() == [0.51, 0.5]
    best, other = rank_episodes(QUESTION, pool, scores, shipped_episode_weights(), 2)
    assert pool.episodes[best.rows[0]] == 1
    assert best.parts["links"] > other.parts["links"]
    only = rank_episodes(QUESTION, pool, scores, {"best": 1.0}, 1)
    assert only[0].rows[0] == 2


@hypothesis.given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_the_best_of_each_episode_is_read_first(n, seed):
    rng = np.random.default_rng(seed)
    pool, scores = pool_of(rng, n), rng.random(n)
    order = best_of_each_first(pool, scores)
    assert sorted(order.tolist()) == list(range(n))
    episodes = len(set(pool.episodes.tolist()))
    assert len(set(pool.episodes[order[:episodes]].tolist())) == episodes
    best = best_of_episodes(pool, scores)
    assert all(scores[row] == best[pool.episodes[row]] for row in order[:episodes].tolist())
    for part in (order[:episodes], order[episodes:]):
        assert (np.diff(scores[part]) <= 0).all()


@pytest.mark.parametrize("weights", [{"nonsense": 1.0}, {"best": float("nan")}, {"best": -1.0}, {}])
def test_bad_weights_are_told(weights):
    with pytest.raises(InvalidArgumentError):
        checked_episode_weights(weights)
