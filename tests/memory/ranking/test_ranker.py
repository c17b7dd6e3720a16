"""Parts sum to scores, whatever the pool, the strategy and the weights."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from tests.memory.ranking.pools import random_pool

from arrowmind.errors import InvalidArgumentError
from arrowmind.memory.ranking.pool import UNLABELLED, episodes_of
from arrowmind.memory.ranking.question import make_question
from arrowmind.memory.ranking.ranker import rank_pool
from arrowmind.memory.ranking.reranker import rerank_shares
from arrowmind.memory.ranking.signals import all_signals
from arrowmind.memory.ranking.strategies import Association, Learned
from arrowmind.memory.ranking.weights import scaled_weights, shipped_weights

QUESTION = make_question(
    'When did Ann say "word" three days ago?', datetime(2026, 11, 21, tzinfo=timezone.utc), {"ann"}
)
WEIGHTS = st.dictionaries(
    st.sampled_from(sorted(all_signals())), st.floats(-5, 5, allow_subnormal=False), min_size=1
).filter(lambda weights: max(weights.values()) > 1e-3)


@hypothesis.given(st.integers(0, 40), WEIGHTS, st.integers(0, 2**32 - 1))
def test_parts_sum_to_the_score(n, weights, seed):
    pool = random_pool(np.random.default_rng(seed), n)
    ranked = rank_pool(QUESTION, pool, Learned(weights), 10)
    assert len(ranked) == min(n, 10)
    for item in ranked:
        assert item.score == sum(item.parts.values())
    scores = [item.score for item in ranked]
    # Columns are float32 and summed as such: so near, two scores may change places.
    size = sum(abs(weight) for weight in scaled_weights(weights).values())
    assert all(a >= b - 1e-5 * size for a, b in itertools.pairwise(scores))


def test_every_signal_is_a_finite_column(rng):
    pool = random_pool(rng, 30)
    for name, signal in all_signals().items():
        column = signal(QUESTION, pool)
        assert (column.shape, column.dtype) == ((30,), np.float32), name
        assert np.isfinite(column).all(), name
    assert set(shipped_weights()) <= set(all_signals())


def test_similarity_and_association(rng):
    pool = random_pool(rng, 20)
    ranked = rank_pool(QUESTION, pool, Association(0.7, 0.3), 20)
    for item in ranked:
        assert item.parts["similarity"] == pytest.approx(0.7 * max(pool.cosines[item.row], 0))
        assert item.parts["association"] == pytest.approx(0.3 * pool.linked[item.row])


class Backwards:
    def scores(self, query, texts):
        return [float(-len(texts) + place) for place in range(len(texts))]


def test_what_a_reranker_says_is_a_share():
    assert rerank_shares("q", ["t"] * 5, Backwards()) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert rerank_shares("q", ["t"], Backwards()) == [0.0]
    assert rerank_shares("q", [], Backwards()) == []


@pytest.mark.parametrize("scores", [[1.0], [float("nan")] * 3])
def test_a_bad_reranker_is_told(scores):
    class Bad:
        def scores(self, query, texts):
            return scores

    with pytest.raises(InvalidArgumentError, match="reranker"):
        rerank_shares("q", ["a", "b", "c"], Bad())


def test_an_episode_ends_with_an_hour_of_silence():
    hour = 3600 * 1_000_000
    moments = np.array([5 * hour, 0, hour, 2 * hour + 1, 5 * hour + 1], dtype=np.int64)
    alone = np.full(5, UNLABELLED)
    assert episodes_of(moments, alone).tolist() == [2, 0, 0, 1, 2]
    assert episodes_of(np.empty(0, np.int64), np.empty(0, np.int64)).tolist() == []
    # What has a label is one episode whenever it was told, and none with what was told beside it.
    assert episodes_of(moments, np.array([7, 7, -1, -1, 8])).tolist() == [2, 2, 0, 1, 3]


@hypothesis.given(st.lists(st.tuples(st.integers(0, 10**11), st.integers(-1, 3)), max_size=40))
def test_labels_part_episodes(memories):
    moments, labels = np.array(memories, np.int64).reshape(-1, 2).T
    numbers = episodes_of(moments, labels)
    assert set(numbers.tolist()) == set(range(int(numbers.max(initial=-1)) + 1))
    for one, other in itertools.combinations(range(len(memories)), 2):
        if labels[one] != labels[other]:
            assert numbers[one] != numbers[other]
        elif labels[one] != UNLABELLED or abs(moments[one] - moments[other]) <= 3600 * 1_000_000:
            assert numbers[one] == numbers[other]
