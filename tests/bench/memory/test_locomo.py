"""Recall of a real conversation does not get worse: bounds a little below what was measured."""

from __future__ import annotations

import itertools
from contextlib import closing

import pytest

from arrowmind import ArrowEngine
from arrowmind.bench.memory.asking import ask
from arrowmind.bench.memory.conversations import read_conversations
from arrowmind.bench.memory.measures import ALL, means
from arrowmind.bench.memory.telling import tell
from arrowmind.weights import convert_model

pytestmark = pytest.mark.slow

# Percent of 105 questions: one question is 0.95.
BOUNDS = {"turn_any10": 84.0, "turn_fraction10": 79.0, "session_fraction10": 95.0}


def test_what_recall_finds_of_a_conversation(shared_data, minilm_source, tmp_path):
    folder = shared_data / "locomo"
    if not folder.is_dir():
        pytest.skip(f"no conversations at {folder}")
    conversation = next(itertools.islice(read_conversations(folder), 1, None))
    convert_model(minilm_source, tmp_path / "minilm")
    store, places = tell(conversation, tmp_path / "memory", ArrowEngine(tmp_path / "minilm"))
    with closing(store):
        result = means(ask(store, places, conversation).found)[ALL]
    assert result["questions"] == 105
    for name, least in BOUNDS.items():
        assert result[name] >= least, f"{name}: {result[name]:.1f} %"
