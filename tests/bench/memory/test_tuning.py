"""Weights are learned without the conversation they are judged on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.bench.memory.small import write_conversations

from arrowmind.bench.memory.conversations import read_conversations
from arrowmind.bench.memory.tuning import Gathered, hold_out, learn_weights
from arrowmind.memory import Evidence


def evidence_of(ids, values, conversation):
    episodes = np.array([conversation.turns[place].session for place in ids])
    kept = np.zeros((int(episodes.max()) + 1, 1), np.float32)
    return Evidence(ids, ("first", "second"), values, episodes, ("length",), kept)


def gathered(conversation, telling):
    """Evidence in which one signal alone tells the answers."""
    tables = []
    for question in conversation.questions:
        values = np.zeros((len(conversation.turns), 2), np.float32)
        values[sorted(question.turns), telling] = 1
        tables.append(evidence_of(list(range(len(conversation.turns))), values, conversation))
    return Gathered(conversation, tables, tables)


def test_the_judged_conversation_is_not_learned_from(tmp_path):
    first, second = read_conversations(write_conversations(tmp_path))
    result = hold_out([gathered(first, 0), gathered(second, 1)])
    assert [fold["conversation"] for fold in result["folds"]] == ["two/0", "two/1"]
    one, other = (fold["weights"] for fold in result["folds"])
    assert one["second"] > 0.1
    assert one["first"] == 0
    assert other["first"] > 0.1
    assert other["second"] == 0
    assert result["held_out"]["all"]["questions"] == 4
    assert result["weights"]["first"] > 0 < result["weights"]["second"]


def test_questions_that_nothing_answers_teach_nothing(tmp_path):
    (conversation, _) = read_conversations(write_conversations(tmp_path))
    evidence = gathered(conversation, 0)
    elsewhere = [replace(each, ids=[99, 98, 97, 96]) for each in evidence.shallow]
    with_empty = Gathered(conversation, [evidence.shallow[0], elsewhere[1]], evidence.deep)
    learned = learn_weights([with_empty])
    assert learned.turns["first"] > 0
    assert learned.episodes["best"] > 0
    assert learned.episodes["length"] == 0
