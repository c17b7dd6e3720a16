"""What a query asks: names of speakers, phrases, kinds of answers."""

from __future__ import annotations

from datetime import datetime, timezone

import hypothesis
import hypothesis.strategies as st
import pytest

from arrowmind.memory.ranking.question import make_question, names_in, speaker_of, without_names

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "speaker"),
    [
        ("Ann: hello", "ann"),
        ("Ann Lee: hello", "ann lee"),
        ("O'Neil: hello", "o'neil"),
        ("\u674e\u660e: \u4f60\u597d", "\u674e\u660e"),
        ("at 10:30 we met", ""),
        ("no speaker here", ""),
        ("one two three four five: no", ""),
        ("http://example.org", ""),
        ("", ""),
    ],
)
def test_who_spoke(text, speaker):
    assert speaker_of(text) == speaker


@pytest.mark.parametrize(
    ("query", "speakers", "rest"),
    [
        ("What does Ann's dog eat?", {"ann"}, "What does dog eat?"),
        ("What did ANN LEE say?", {"ann lee"}, "What did say?"),
        ("What did Ann say?", {"ann lee"}, "What did say?"),
        ("Annual plans of Anna", {"ann"}, "Annual plans of Anna"),
        ("Ann", {"ann"}, "Ann"),
        ("Ann?", {"ann"}, "Ann?"),
        ("Where is Ben?", {"ann"}, "Where is Ben?"),
    ],
)
def test_names_of_speakers_are_left_out(query, speakers, rest):
    assert without_names(query, names_in(query, speakers)) == rest


def test_a_long_text_is_left_as_it_is():
    assert without_names("Ann " * 1000, {"ann"}) == "Ann " * 1000


@hypothesis.given(st.text(max_size=40), st.sets(st.text(min_size=1, max_size=10), max_size=3))
def test_no_query_makes_it_fail(query, speakers):
    question = make_question(query, NOW, speakers)
    assert question.speakers <= speakers
    rest = without_names(query, question.speakers)
    assert rest.strip() or not query.strip()


def test_kinds_of_answers_and_phrases():
    question = make_question('When did she say "Blue Pot" and \u201cred\u201d?', NOW)
    assert (question.asks_time, question.asks_number, question.phrases) == (True, False, ("blue pot", "red"))
    assert make_question("How many cats?", NOW).asks_number
    assert make_question("\u4f60\u4ec0\u4e48\u65f6\u5019\u6765\u7684?", NOW).asks_time
    assert not make_question("Whenever", NOW).asks_time
