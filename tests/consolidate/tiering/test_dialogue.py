"""Dialogues: short for a model, whole for whoever asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.consolidate.samples import embed

from arrowmind.consolidate.summarisers import SummariserSetup, open_summariser
from arrowmind.consolidate.tiering import CompressedDialogue, Compressor, Reconstructor
from arrowmind.errors import InvalidArgumentError, MemoryStoreError

SUMMARISER = open_summariser("extractive", SummariserSetup(embed, share=0.05))
TOPICS = (
    "the garden needs water",
    "my brother repairs bicycles",
    "we cook soup with beans",
    "the train is late",
)
TURNS = [f"Ann: {TOPICS[i % 4]} and I thought about number {i} for a while." for i in range(200)]
TURNS[57] = "Bob: the passport is in the blue drawer."


def compressed(turns=TURNS, tail=6):
    return Compressor(SUMMARISER, tail).compress(turns, embed(turns))


def test_every_turn_comes_back():
    assert Reconstructor().turns(compressed()) == TURNS


def test_the_context_is_short_and_answers():
    dialogue = compressed()
    (query,) = embed(["where is the passport? in which drawer?"])
    context = Reconstructor().context(dialogue, query)
    assert context[-6:] == TURNS[-6:]
    assert TURNS[57] in context
    whole = sum(map(len, TURNS))
    assert whole >= 9 * sum(map(len, context))
    assert all(any(line in turn for turn in TURNS) for line in context[0].split("\n"))
    assert len(dialogue.block) * 10 < whole


def test_short_dialogues_are_all_tail():
    dialogue = compressed(TURNS[:4])
    assert dialogue.summary == ""
    assert Reconstructor().context(dialogue) == TURNS[:4]


def test_as_bytes():
    dialogue = compressed()
    data = dialogue.to_bytes()
    again = CompressedDialogue.from_bytes(data)
    assert (again.summary, again.tail, again.block) == (dialogue.summary, dialogue.tail, dialogue.block)
    assert np.array_equal(again.codes, dialogue.codes)
    for cut in (0, 3, 20, len(data) // 2, len(data) - 1):
        with pytest.raises(MemoryStoreError):
            Reconstructor().turns(CompressedDialogue.from_bytes(data[:cut]))
    for place in range(0, len(data), 97):
        flipped = bytearray(data)
        flipped[place] ^= 0x10
        with pytest.raises(MemoryStoreError):
            Reconstructor().turns(CompressedDialogue.from_bytes(bytes(flipped)))


@settings(max_examples=30)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=12), st.integers(0, 5))
def test_any_turns(turns, tail):
    vectors = np.ones((len(turns), 8), np.float32) / np.sqrt(np.float32(8))
    dialogue = Compressor(SUMMARISER, tail).compress(turns, vectors)
    assert Reconstructor().turns(CompressedDialogue.from_bytes(dialogue.to_bytes())) == turns
    context = Reconstructor().context(dialogue, vectors[0])
    assert context[len(context) - min(tail, len(turns)) :] == turns[len(turns) - min(tail, len(turns)) :]


def test_what_cannot_be_compressed():
    with pytest.raises(InvalidArgumentError, match="at least one turn"):
        Compressor(SUMMARISER).compress([], np.ones((0, 4), np.float32))
    with pytest.raises(InvalidArgumentError, match="a vector for each"):
        Compressor(SUMMARISER).compress(["a"], np.ones((2, 4), np.float32))
