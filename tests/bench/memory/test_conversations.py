"""Reading LoCoMo: order of sessions, captions, and which questions count."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from tests.bench.memory.small import FRIENDS, write_conversations

from arrowmind.bench.memory.conversations import read_conversations
from arrowmind.errors import ConfigurationError


def test_turns_stand_in_the_order_of_their_sessions(tmp_path):
    first, second = read_conversations(write_conversations(tmp_path))
    assert [turn.text for turn in first.turns] == [
        "Ann: What are you growing this year?",
        "Ben: Pumpkins, and beans along the fence.",
        "Ben: I bought a kayak yesterday.",
        "Ann: Lovely! [shares a red kayak on a roof]",
    ]
    assert [turn.session for turn in first.turns] == [0, 0, 1, 1]
    assert first.turns[0].moment == datetime(2023, 5, 8, 13, 56, tzinfo=timezone.utc)
    assert first.turns[0].moment < first.turns[1].moment < first.turns[2].moment
    assert (first.name, second.name) == ("two/0", "two/1")


def test_questions_without_a_turn_are_left_out(tmp_path):
    conversation = read_conversations(write_conversations(tmp_path))[0]
    assert [question.turns for question in conversation.questions] == [{1}, {2, 3}]
    assert [question.category for question in conversation.questions] == ["single-hop", "temporal"]
    assert [conversation.sessions_of(question) for question in conversation.questions] == [{0}, {1}]


@pytest.mark.parametrize("raw", ["no JSON", "[1]", '[{"qa": []}]', '{"a": 1}'])
def test_another_file_is_refused_by_name(tmp_path, raw):
    file = tmp_path / "other.json"
    file.write_text(raw, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"other\.json"):
        read_conversations(file)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no JSON file"):
        read_conversations(tmp_path)


def test_a_question_of_an_unknown_category_is_refused(tmp_path):
    file = tmp_path / "odd.json"
    changed = {**FRIENDS, "qa": [{"question": "?", "evidence": ["D1:1"], "category": 9}]}
    file.write_text(json.dumps([changed]), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"odd\.json"):
        read_conversations(file)
