"""Greedy choices by the highest logit of each row, and what else needs the whole row."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import Peak, Peaks, Sampler, SamplingParameters, TokenSequence

VOCABULARY = 12


def sampler(**options):
    return Sampler(SamplingParameters(**options), VOCABULARY, [1, 2])


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.5},
        {"temperature": 0.5, "top_k": 1},
        {"logprobs": 0},
        {"logit_bias": {3: -math.inf}},
        {"repetition_penalty": 1.1},
        {"presence_penalty": 0.5},
        {"frequency_penalty": -0.5},
    ],
    ids=str,
)
def test_what_needs_more_than_the_highest(options):
    assert sampler().takes_peaks
    assert sampler(top_k=3, top_p=0.5, min_p=0.1).takes_peaks  # of a greedy choice they leave the best
    assert not sampler(**options).takes_peaks


def test_the_choice_is_that_of_the_whole_row():
    rng = np.random.default_rng(7)
    for _ in range(50):
        row = np.round(rng.normal(size=VOCABULARY)).astype(np.float32)  # with equals
        peak = Peak(int(row.argmax()), float(row.max()))
        assert sampler().choose_peak(peak) == sampler().choose(row)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_peaks_that_are_no_numbers_are_refused_in_the_same_words(value):
    row = np.full(VOCABULARY, value, np.float32)
    with pytest.raises(InvalidArgumentError) as whole:
        sampler().choose(row)
    with pytest.raises(InvalidArgumentError) as one:
        sampler().choose_peak(Peak(0, value))
    assert str(one.value) == str(whole.value)


@pytest.mark.parametrize("token", [-1, VOCABULARY])
def test_a_column_beyond_the_vocabulary_is_refused(token):
    with pytest.raises(InvalidArgumentError, match="token"):
        sampler().choose_peak(Peak(token, 1.0))


class Drafts:
    """Proposes the same two tokens again and again."""

    def __init__(self):
        self.told = []

    def extend(self, tokens):
        self.told += tokens

    def propose(self, most):
        return [4, 5][:most]


def sequence():
    return TokenSequence([1], SamplingParameters(max_tokens=9), VOCABULARY, drafts=Drafts())


def rows_of(tokens):
    rows = np.zeros((len(tokens), VOCABULARY), np.float32)
    rows[np.arange(len(tokens)), tokens] = 2.5
    return rows


def test_drafts_are_checked_by_peaks():
    found = []
    for by_peaks in (False, True):
        one = sequence()
        assert one.takes_peaks
        deltas = []
        for tokens in ([3], [4, 5, 6], [4, 1, 2]):
            assert len(one.feed().tokens) == len(tokens)
            rows = rows_of(tokens)
            peaks = Peaks(np.array(tokens), np.full(len(tokens), 2.5, np.float32))
            deltas.append(one.take(peaks if by_peaks else rows))
        found.append((deltas, one.token_ids))
    assert found[0] == found[1]
    assert found[0][1] == [3, 4, 5, 6, 4, 1]
    one = sequence()
    one.feed()
    with pytest.raises(InvalidArgumentError, match="1 rows are needed"):
        one.take(Peaks(np.array([1, 2]), np.zeros(2, np.float32)))
