"""The chain: against plain NumPy, by its distribution, and where there is nothing to choose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import sampling as reference

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import Sampler, SamplingParameters

EPSILON = float(np.finfo(np.float32).eps)


def row(rng, vocabulary=64, spread=3.0):
    return (rng.normal(size=vocabulary) * spread).astype(np.float32)


def probabilities(parameters, logits):
    ids, weights = Sampler(parameters, len(logits)).distribution(logits, float(logits.max()))
    result = np.zeros(len(logits))
    result[ids] = weights
    return result / result.sum()


CHAINS = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.05, 0.7, 1.0, 1.3, 20.0]),
        "top_k": st.sampled_from([0, 1, 3, 40, 63, 64, 1000]),
        "top_p": st.sampled_from([1e-6, 0.3, 0.9, 0.999, 1.0]),
        "min_p": st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    }
)


@given(CHAINS, st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 64, 5000]), st.sampled_from([0.0, 0.3, 4.0]))
def test_the_distribution_is_the_oracles(chain, seed, vocabulary, spread):
    parameters = SamplingParameters(**chain)
    logits = row(np.random.default_rng(seed), vocabulary, spread)
    found, expected = probabilities(parameters, logits), reference.probabilities(logits, parameters)
    # A cut may fall one token apart where sums differ in their last bits.
    apart = np.flatnonzero((found > 0) != (expected > 0))
    at_border = 1 if len(apart) else 0
    assert len(apart) <= 1
    # Exponents are rounded to float32, half an ulp each, and the function has its own error.
    tolerance = 4 * EPSILON * max(1.0, np.ptp(logits) / parameters.temperature)
    both = np.setdiff1d(np.arange(vocabulary), apart)
    np.testing.assert_allclose(found[both], expected[both], rtol=tolerance + at_border, atol=1e-37)


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 15), max_size=40),
    st.lists(st.integers(0, 15), max_size=40),
    st.sampled_from([None, 1, 5, 100]),
    st.sampled_from([0.5, 1.0, 1.3]),
    st.sampled_from([-0.5, 0.0, 0.7]),
    st.sampled_from([-1.0, 0.0, 2.0]),
)
def test_penalties_are_the_oracles(seed, prompt, output, window, repetition, frequency, presence):
    parameters = SamplingParameters(
        repetition_penalty=repetition, frequency_penalty=frequency, presence_penalty=presence,
        penalty_window=window, logit_bias={3: 2.5, 7: -math.inf},
    )  # fmt: skip
    logits = row(np.random.default_rng(seed), 16)
    before = logits.copy()
    sampler = Sampler(parameters, 16, prompt)
    for token in output:
        sampler.accept(token)
    expected = reference.penalised(logits, prompt, output, parameters)
    np.testing.assert_allclose(
        sampler._processed(logits, None), expected, rtol=8 * EPSILON, atol=1e-4 * EPSILON
    )
    assert sampler.choose(logits).token == int(np.argmax(sampler._processed(logits, None)))
    np.testing.assert_array_equal(logits, before)  # the caller's row is not written to


def test_many_distinct_tokens_are_counted():
    parameters = SamplingParameters(presence_penalty=1.0)
    sampler = Sampler(parameters, 1000)
    for token in range(700):
        sampler.accept(token)
    processed = sampler._processed(np.zeros(1000, np.float32), None)
    np.testing.assert_array_equal(processed, np.repeat(np.float32([-1, 0]), [700, 300]))


@pytest.mark.parametrize(
    "chain",
    [
        {"temperature": 1.0},
        {"temperature": 0.6, "top_k": 7},
        {"temperature": 1.5, "top_p": 0.8},
        {"temperature": 1.0, "min_p": 0.1},
        {"temperature": 1.2, "top_k": 20, "top_p": 0.95, "min_p": 0.02},
    ],
)
def test_draws_follow_the_distribution(rng, seed, chain):
    parameters = SamplingParameters(seed=seed, **chain)
    logits = row(rng, 40, 1.5)
    expected = reference.probabilities(logits, parameters)
    count = 3000
    sampler = Sampler(parameters, 40)
    found = np.bincount([sampler.sample(logits).token for _ in range(count)], minlength=40)
    assert not found[expected == 0].any()
    likely = expected * count >= 5
    observed = np.append(found[likely], found[~likely].sum())
    wanted = np.append(expected[likely], expected[~likely].sum()) * count
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    statistic = ((observed - wanted) ** 2 / wanted).sum()
    freedom = max(len(wanted) - 1, 1)
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


def test_a_seed_gives_its_tokens_whatever_else_is_sampled(rng):
    rows = [row(rng, 100) for _ in range(50)]
    parameters = SamplingParameters(temperature=1.0, seed=5)
    alone = Sampler(parameters, 100)
    expected = [alone.sample(logits).token for logits in rows]
    one, other = Sampler(parameters, 100), Sampler(SamplingParameters(temperature=2.0), 100)
    found = []
    for logits in rows:
        other.sample(logits)
        one.choose(rows[0])  # looking changes nothing
        found.append(one.sample(logits).token)
    assert found == expected
    stream = Sampler(parameters, 100, stream=1)
    assert [stream.sample(logits).token for logits in rows] != expected


def test_a_drawn_seed_is_told_and_repeats(rng):
    logits = row(rng, 1000, 0.5)
    first = Sampler(SamplingParameters(temperature=1.0), 1000)
    tokens = [first.sample(logits).token for _ in range(20)]
    again = Sampler(SamplingParameters(temperature=1.0, seed=first.seed), 1000)
    assert [again.sample(logits).token for _ in range(20)] == tokens


def test_greedy_takes_the_lowest_of_equals():
    logits = np.float32([0, 3, 3, 1])
    assert Sampler(SamplingParameters(), 4).choose(logits).token == 1


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 3000]), st.sampled_from([0, 1, 4, 5000]))
def test_logprobs_are_the_models_own(seed, vocabulary, count):
    logits = row(np.random.default_rng(seed), vocabulary)
    parameters = SamplingParameters(
        temperature=0.5, top_k=2, seed=seed, logprobs=count, logit_bias={0: -5.0}, repetition_penalty=1.5
    )
    choice = Sampler(parameters, vocabulary, [0]).choose(logits)
    expected = reference.log_softmax(logits)
    assert choice.logprob == pytest.approx(expected[choice.token], abs=64 * EPSILON)
    best = np.argsort(-logits, kind="stable")[:count]
    assert [token for token, _ in choice.top] == best.tolist()
    np.testing.assert_allclose([value for _, value in choice.top], expected[best], atol=64 * EPSILON)


def test_tells_no_logprobs_unasked(rng):
    choice = Sampler(SamplingParameters(), 64).choose(row(rng))
    assert (choice.logprob, choice.top) == (None, ())


def test_a_mask_and_a_bias_forbid(rng):
    logits = row(rng)
    allowed = np.zeros(64, np.bool_)
    allowed[[5, 9]] = True
    parameters = SamplingParameters(temperature=5.0, logit_bias={5: -math.inf}, seed=1)
    sampler = Sampler(parameters, 64)
    assert {sampler.sample(logits, allowed).token for _ in range(50)} == {9}


@pytest.mark.parametrize("chain", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_k": 5, "top_p": 0.9}])
@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_logits_that_are_no_distribution(rng, chain, bad):
    logits = row(rng)
    if bad is None:
        logits[:] = -math.inf
    else:
        logits[17] = bad
    with pytest.raises(InvalidArgumentError, match="logits of token 0 have"):
        Sampler(SamplingParameters(**chain), 64).choose(logits)


def test_nothing_left_is_said(rng):
    with pytest.raises(InvalidArgumentError, match="no candidate left"):
        Sampler(SamplingParameters(), 64).choose(row(rng), np.zeros(64, np.bool_))
    banned = SamplingParameters(logit_bias=dict.fromkeys(range(64), -math.inf))
    with pytest.raises(InvalidArgumentError, match="no candidate left"):
        Sampler(banned, 64).choose(row(rng))


@pytest.mark.parametrize("extreme", [3.0e38, -3.0e38])
def test_extreme_logits_do_not_overflow(extreme):
    logits = np.float32([extreme, -extreme, 0, 1, -math.inf])
    for chain in ({}, {"temperature": 0.001}, {"temperature": 1000.0, "top_p": 0.9, "logprobs": 2}):
        choice = Sampler(SamplingParameters(seed=3, **chain), 5).choose(logits)
        assert choice.token == int(np.argmax(logits))


@pytest.mark.parametrize("logits", [np.zeros(64), np.zeros((1, 64), np.float32), np.zeros(63, np.float32)])
def test_refuses_rows_of_another_kind(logits):
    with pytest.raises(InvalidArgumentError, match=r"float32 \[64\] is needed"):
        Sampler(SamplingParameters(), 64).choose(logits)


def test_ids_must_be_in_the_vocabulary():
    for parameters in (SamplingParameters(logit_bias={64: 1.0}), SamplingParameters(stop_ids=[64])):
        with pytest.raises(InvalidArgumentError, match="64"):
            Sampler(parameters, 64)
    with pytest.raises(InvalidArgumentError, match="prompt"):
        Sampler(SamplingParameters(repetition_penalty=1.1), 64, [64])
    with pytest.raises(InvalidArgumentError, match="allowed is"):
        Sampler(SamplingParameters(), 64).choose(np.zeros(64, np.float32), np.ones(64, np.uint8))


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), CHAINS)
def test_the_drawn_token_is_one_of_those_left(seed, chain):
    parameters = SamplingParameters(seed=seed, **chain)
    logits = row(np.random.default_rng(seed), 6000, 1.0)
    left = reference.probabilities(logits, parameters) > 0
    sampler = Sampler(parameters, 6000)
    outside = [token for token in (sampler.sample(logits).token for _ in range(20)) if not left[token]]
    assert len(set(outside)) <= 1  # the one at the border of the nucleus
