"""What a query asks: names of speakers, phrases, kinds of answers."""

from __future__ import annotations

from datetime import datetime, timezone

import hypothesis
import hypothesis.strategies as st
import pytest

from arrowmind.memory.ranking.question import as_told, make_question, names_in, speaker_of

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
        ("What does Ann's dog eat?", {"ann"}, "What does my dog eat?"),
        ("What did ANN LEE say?", {"ann lee"}, "What did I say?"),
        ("What did Ann say?", {"ann lee"}, "What did I say?"),
        ("Is Ann proud of her garden?", {"ann"}, "am I proud of my garden?"),
        ("What does Ben think of himself?", {"ben"}, "What do I think of myself?"),
        ("What do Ann and Ben both like?", {"ann", "ben"}, "What do we both like?"),
        ("Does Ann like his car, or does Ben?", {"ann", "ben"}, "do I like his car, or do I?"),
        ("Annual plans of Anna", {"ann"}, "Annual plans of Anna"),
        ("Ann", {"ann"}, "Ann"),
        ("Ann?", {"ann"}, "Ann?"),
        ("Ann's", {"ann"}, "Ann's"),
        ("Where is Ben?", {"ann"}, "Where is Ben?"),
        ("Wohin reist Ann?", {"ann"}, "Wohin reist?"),
    ],
)
def test_the_encoder_reads_what_speakers_would_ask(query, speakers, rest):
    assert as_told(query, names_in(query, speakers)) == rest


def test_a_long_text_is_left_as_it_is():
    assert as_told("Ann " * 1000, {"ann"}) == "Ann " * 1000


@hypothesis.given(st.text(max_size=40), st.sets(st.text(min_size=1, max_size=10), max_size=3))
def test_no_query_makes_it_fail(query, speakers):
    question = make_question(query, NOW, speakers)
    assert question.speakers <= speakers
    rest = as_told(query, question.speakers)
    assert rest.strip() or not query.strip()


def test_kinds_of_answers_and_phrases():
    question = make_question('When did she say "Blue Pot" and \u201cred\u201d?', NOW)
    assert (question.asks_time, question.asks_number, question.phrases) == (True, False, ("blue pot", "red"))
    assert make_question("How many cats?", NOW).asks_number
    assert make_question("\u4f60\u4ec0\u4e48\u65f6\u5019\u6765\u7684?", NOW).asks_time
    assert not make_question("Whenever", NOW).asks_time
