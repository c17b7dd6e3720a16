"""Prompt lookup: what followed last time, within its bounds; and drafts that change no output."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.toy_decoder import ToyDecoder

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import PromptLookup, SamplingParameters, TokenSequence, decode


def test_proposes_what_followed_last_time():
    lookup = PromptLookup(longest=3, shortest=2, most=4)
    lookup.extend([1, 2, 3, 4, 5, 9, 2, 3, 7, 1, 2, 3])
    assert lookup.propose(10) == [4, 5, 9, 2]  # after 1 2 3, not the later 2 3
    assert lookup.propose(2) == [4, 5]
    lookup.extend([8, 2, 3])
    assert lookup.propose(10) == [8, 2, 3]  # 2 3 was last followed by 8
    lookup.extend([6])
    assert lookup.propose(10) == []


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 3), st.integers(1, 3))
def test_is_the_slow_search(tokens, longest, shortest):
    shortest = min(longest, shortest)
    lookup = PromptLookup(longest, shortest, 5)
    for token in tokens:
        lookup.extend([token])
    expected = []
    for length in range(longest, shortest - 1, -1):
        end = tokens[len(tokens) - length :]
        places = [place for place in range(length, len(tokens)) if tokens[place - length : place] == end]
        if places:
            expected = tokens[places[-1] : places[-1] + 5]
            break
    assert lookup.propose(9) == expected


def test_memory_is_bounded():
    lookup = PromptLookup(remembered=64)
    for start in range(0, 10_000, 10):
        lookup.extend(range(start, start + 10))
    assert len(lookup._tokens) <= 128
    assert len(lookup._places) <= 2 * 128


@pytest.mark.parametrize(
    "options",
    [{"longest": 0}, {"shortest": 4}, {"most": 0}, {"most": 1.5}, {"remembered": 1}, {"longest": True}],
)
def test_numbers_out_of_bounds(options):
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        PromptLookup(**options)


class Guessing:
    """Proposes by a generator: mostly wrong, too many at times."""

    def __init__(self, data):
        self.data = data

    def extend(self, tokens):
        pass

    def propose(self, limit):
        return self.data.draw(st.lists(st.integers(0, 5), max_size=6))


CHAINS = [
    {},
    {"temperature": 1.0, "seed": 3},
    {
        "temperature": 0.5,
        "top_k": 4,
        "top_p": 0.9,
        "seed": 4,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.3,
    },
]


@pytest.mark.parametrize("chain", CHAINS, ids=["greedy", "sampled", "penalised"])
@settings(max_examples=30)
@given(data=st.data())
def test_drafts_change_no_output(chain, data):
    seed = data.draw(st.integers(0, 1000))
    prompt = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=30))
    tokens = data.draw(st.integers(1, 40))
    parameters = SamplingParameters(max_tokens=tokens, stop_ids=[5], logprobs=1, **chain)

    def run(drafts):
        decoder = ToyDecoder(6, seed=seed)
        sequence = TokenSequence(prompt, parameters, 6, drafts=drafts)
        deltas = list(decode(sequence, decoder))
        result = sequence.result()
        assert sum((delta.token_ids for delta in deltas), ()) == result.token_ids
        assert decoder.cache == [*prompt, *result.token_ids[:-1]]  # what was refused is out of the cache
        return decoder, result

    plain, expected = run(None)
    for drafts in (PromptLookup(), PromptLookup(1, 1, 3), Guessing(data)):
        decoder, found = run(drafts)
        assert (found.token_ids, found.finish_reason) == (expected.token_ids, expected.finish_reason)
        assert found.logprobs == expected.logprobs
        # A run gives one token beside those of the draft that were right, unless the last of these ends it.
        assert plain.runs - decoder.runs in (found.timings.accepted, found.timings.accepted - 1)


def test_a_text_that_repeats_itself_takes_fewer_runs():
    parameters = SamplingParameters(max_tokens=200)
    runs = []
    for drafts in (None, PromptLookup()):
        decoder = ToyDecoder(6)
        sequence = TokenSequence([1, 2, 3], parameters, 6, drafts=drafts)
        list(decode(sequence, decoder))
        runs.append(decoder.runs)
    assert runs[0] == 200
    assert runs[1] < 60
    timings = sequence.result().timings
    assert 0 < timings.accepted <= timings.drafted


def test_an_error_within_a_draft_comes_with_the_next_run():
    class Fixed(Guessing):
        def propose(self, limit):
            return [0, 0, 0][:limit]

    sequence = TokenSequence([1], SamplingParameters(), 4, drafts=Fixed(None))
    first = np.zeros((1, 4), np.float32)
    assert sequence.feed().rows == 1
    sequence.take(first)
    assert sequence.feed().tokens == (0, 0, 0, 0)
    rows = np.zeros((4, 4), np.float32)
    rows[2:] = np.nan
    delta = sequence.take(rows)
    assert (delta.token_ids, delta.forget) == ((0, 0), 2)
    assert sequence.feed().tokens[0] == 0
    with pytest.raises(InvalidArgumentError, match="logits of token 3"):
        sequence.take(rows[::-1])
