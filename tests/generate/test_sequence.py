"""One sequence: feeds, texts, endings, times, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.generating_tokenizers import byte_level
from tests.reference.toy_decoder import ScriptDecoder, ToyDecoder

from arrowmind.errors import InvalidArgumentError
from arrowmind.generate import FunctionDecoder, SamplingParameters, TokenPieces, TokenSequence, decode

TOKENIZER = byte_level()
PIECES = TokenPieces(TOKENIZER)
VOCABULARY = TOKENIZER.get_vocab_size()
EOS = TOKENIZER.token_to_id("<|end|>")


def ids(text):
    return TOKENIZER.encode(text).ids


def run(script, parameters=None, **options):
    parameters = parameters or SamplingParameters()
    sequence = TokenSequence([0], parameters, VOCABULARY, pieces=PIECES, eos=[EOS], **options)
    deltas = list(decode(sequence, ScriptDecoder(VOCABULARY, script)))
    result = sequence.result()
    assert "".join(delta.text for delta in deltas) == result.text
    assert [delta.finish_reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish_reason == result.finish_reason
    return result


def test_ends_with_the_model():
    result = run([*ids("the cat"), EOS])
    assert (result.text, result.finish_reason, result.stop) == ("the cat", "eos", None)
    assert result.token_ids == (*ids("the cat"), EOS)


def test_goes_on_after_the_end_if_told_to():
    result = run([*ids("a"), EOS, *ids("bc")], SamplingParameters(ignore_eos=True, max_tokens=4))
    assert (result.text, result.finish_reason) == ("abc", "length")


def test_ends_with_a_stop_string_over_tokens():
    result = run(ids("one STOP two"), SamplingParameters(stop=["STOP", "xyz"]))
    assert (result.text, result.finish_reason, result.stop) == ("one ", "stop", "STOP")


def test_ends_with_a_stop_token():
    stop = ids("q")[0]
    result = run(ids("the q"), SamplingParameters(stop_ids=[stop]))
    assert (result.text, result.finish_reason, result.stop) == ("the ", "stop", stop)


def test_what_was_held_comes_at_the_end():
    result = run(ids("do ST\u00e9"), SamplingParameters(stop="STOP", max_tokens=5))
    assert result.text == "do ST"
    half = ids("\u65e5")[:2]
    assert run(half, SamplingParameters(max_tokens=2)).text == "\ufffd"
    ended = run(half, SamplingParameters(max_tokens=2, stop="\ufffd"))
    assert (ended.text, ended.finish_reason) == ("", "stop")


def test_ends_at_the_window():
    result = run(ids("the cat sat on the mat"), window=4)
    assert (len(result.token_ids), result.finish_reason) == (3, "length")


class Alternating:
    """Allows `first` and `second` in turn, `count` of them."""

    def __init__(self, first, second, count):
        self.tokens, self.count = (first, second), count

    def mask(self):
        allowed = np.zeros(VOCABULARY, np.bool_)
        allowed[self.tokens[self.count % 2]] = True
        return allowed

    def advance(self, token):
        assert self.mask()[token]
        self.count -= 1

    @property
    def is_done(self):
        return self.count == 0


def test_a_constraint_rules_and_ends():
    result = run(ids("zzzz"), constraint=Alternating(ids("a")[0], ids("b")[0], 4))
    assert (result.text, result.finish_reason) == ("abab", "constraint")


def test_logprobs_for_each_token():
    result = run(ids("the"), SamplingParameters(max_tokens=3, logprobs=2))
    assert [choice.token for choice in result.logprobs] == list(result.token_ids)
    assert all(len(choice.top) == 2 for choice in result.logprobs)


def test_timings():
    ticks = iter([10.0, 11.0, 13.0, 14.0, 16.0])
    sequence = TokenSequence(
        [0, 1, 2], SamplingParameters(max_tokens=3), VOCABULARY, clock=lambda: next(ticks)
    )
    list(decode(sequence, ScriptDecoder(VOCABULARY, [5, 6, 7])))
    timings = sequence.result().timings
    assert (timings.prompt_tokens, timings.prompt_seconds, timings.prompt_tokens_per_second) == (3, 2.0, 1.5)
    assert (timings.tokens, timings.decode_seconds, timings.tokens_per_second) == (3, 3.0, 2 / 3)
    assert timings.first_token_seconds == 3.0


def test_a_result_before_the_end():
    sequence = TokenSequence([0], SamplingParameters(), VOCABULARY)
    result = sequence.result()
    assert (result.text, result.token_ids, result.finish_reason) == ("", (), None)
    assert (result.timings.tokens_per_second, result.timings.prompt_tokens_per_second) == (0, 0)


def test_a_function_is_a_decoder():
    fed = []

    def next_logits(tokens):
        fed.append(tuple(tokens))
        logits = np.zeros(8, np.float32)
        logits[len(fed)] = 1
        return logits

    sequence = TokenSequence([7, 7], SamplingParameters(max_tokens=3), 8)
    assert [delta.token_ids for delta in decode(sequence, FunctionDecoder(next_logits))] == [(1,), (2,), (3,)]
    assert fed == [(7, 7), (1,), (2,)]
    with pytest.raises(InvalidArgumentError, match="without drafts"):
        FunctionDecoder(next_logits).append([1, 2], 2)


@given(st.integers(1, 4), st.integers(0, 100))
def test_sequences_that_come_and_go_are_as_alone(count, seed):
    """Continuous batching: each sequence is what it is without the others."""
    parameters = SamplingParameters(temperature=1.0, seed=seed, max_tokens=12, stop_ids=[3])

    def make(index):
        return TokenSequence([index + 1], parameters, 8, stream=index), ToyDecoder(8, seed=seed)

    expected = []
    for index in range(count):
        sequence, decoder = make(index)
        list(decode(sequence, decoder))
        expected.append(sequence.result().token_ids)
    running, waiting, found = [], list(range(count)), {}
    while running or waiting:
        if waiting:
            running.append((waiting[0], *make(waiting.pop(0))))
        for index, sequence, decoder in list(running):
            feed = sequence.feed()
            sequence.take(decoder.append(feed.tokens, feed.rows))
            if sequence.finish_reason is not None:
                found[index] = sequence.result().token_ids
                running = [entry for entry in running if entry[0] != index]
    assert [found[index] for index in range(count)] == expected


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ([], {}, "prompt has no tokens"),
        ([8], {}, r"prompt\[0\] is 8"),
        ([-1], {}, r"prompt\[0\] is -1"),
        ("text", {}, "prompt is str"),
        ([1] * 9, {"window": 9}, "has 9 tokens, and the model reads 9"),
    ],
)
def test_prompts_that_are_refused(prompt, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        TokenSequence(prompt, SamplingParameters(), 8, **options)


def test_stop_strings_need_text():
    with pytest.raises(InvalidArgumentError, match="stop strings need"):
        TokenSequence([1], SamplingParameters(stop="x"), 8)


def test_bad_logits_leave_the_sequence_usable():
    sequence = TokenSequence([1], SamplingParameters(max_tokens=2), 8)
    sequence.feed()
    for logits, message in (
        (np.zeros(8, np.float32), "1 rows are needed"),
        (np.full((1, 8), np.nan, np.float32), "nan as their highest"),
        (np.zeros((1, 7), np.float32), r"float32 \[8\]"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            sequence.take(logits)
    assert sequence.take(np.zeros((1, 8), np.float32)).token_ids == (0,)
    sequence.feed()
    assert sequence.take(np.zeros((1, 8), np.float32)).finish_reason == "length"
    with pytest.raises(InvalidArgumentError, match=r"the sequence ended \(length\)"):
        sequence.feed()
