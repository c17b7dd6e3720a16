"""Summaries without a model: sentences that quote themselves, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consolidate.samples import embed, memories, memory

from arrowmind.consolidate.sentences import sentences
from arrowmind.consolidate.summarisers import SummariserSetup, open_summariser, summariser_names
from arrowmind.consolidate.summarising import Task
from arrowmind.errors import ConfigurationError

TALK = memories(
    "We booked the flight to Lisbon. It leaves on Friday!",
    "The flight to Lisbon leaves early.\nBring the tickets.",
    "My sister likes jazz.",
    "The hotel in Lisbon is near the river. The flight to Lisbon leaves early.",
)


def summarise(sources=TALK, share=0.4, embedder=embed):
    return open_summariser("extractive", SummariserSetup(embedder, share=share)).summarise(Task(sources))


def test_the_summarisers():
    assert summariser_names() == ["extractive", "llm"]
    with pytest.raises(ConfigurationError, match="facts need a language model"):
        open_summariser("llm", SummariserSetup(embed))


def test_every_sentence_is_a_quote():
    (derived,) = summarise().derived
    texts = {one.id: one.text for one in TALK}
    assert derived.text.split("\n") == [quote.text for quote in derived.quotes]
    assert all(quote.text in texts[quote.source] for quote in derived.quotes)
    assert np.isclose(np.linalg.norm(derived.vector), 1)
    assert derived.valid_from in {one.timestamp for one in TALK}


def test_it_is_shorter_and_does_not_repeat_itself():
    (derived,) = summarise().derived
    assert len(derived.text) <= 0.45 * sum(len(one.text) for one in TALK)
    assert len({quote.text for quote in derived.quotes}) == len(derived.quotes)
    assert "Lisbon" in derived.text


def test_the_same_memories_give_the_same_summary():
    first, again = summarise().derived, summarise().derived
    assert first == again
    assert np.array_equal(first[0].vector, again[0].vector)


def test_without_an_encoder_the_vectors_of_the_memories_do():
    (derived,) = summarise(embedder=lambda _: None).derived
    assert derived.quotes
    bare = tuple(type(one)(one.id, one.text, None, one.timestamp) for one in TALK)
    (derived,) = summarise(bare, embedder=lambda _: None).derived
    assert derived.vector is None


def test_one_sentence_at_least():
    (derived,) = summarise(share=0.0).derived
    assert len(derived.quotes) == 1


def test_a_million_signs_are_bounded():
    long = tuple(memory(i, "A word. " * 20_000) for i in range(1, 4))
    (derived,) = summarise(long).derived
    assert len(derived.quotes) <= 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two!  Three?", ["One.", "Two!", "Three?"]),
        ("No end", ["No end"]),
        ("3.14 is pi. Yes", ["3.14 is pi.", "Yes"]),
        (
            "\u6211\u641c\u5bb6\u4e86\u3002\u5728\u6771\u4eac\uff01",
            ["\u6211\u641c\u5bb6\u4e86\u3002", "\u5728\u6771\u4eac\uff01"],
        ),
        ("a\n\nb", ["a", "b"]),
        (" \n ", []),
        ('He said "go." She left.', ['He said "go."', "She left."]),
    ],
)
def test_sentences(text, expected):
    assert sentences(text, 10) == expected


@given(st.text(max_size=300), st.integers(1, 20))
def test_sentences_stand_in_the_text_in_order(text, most):
    found = sentences(text, most)
    assert len(found) <= most
    place = 0
    for sentence in found:
        place = text.index(sentence, place) + len(sentence)
    if len(found) < most:
        assert "".join("".join(found).split()) == "".join(text.split())
