"""How something is told: by who, what happened, what it names."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.memory.ranking.pools import random_pool

from arrowmind.memory.ranking.memories import Told
from arrowmind.memory.ranking.question import make_question, speaker_of
from arrowmind.memory.ranking.signals.telling import SIGNALS
from arrowmind.memory.ranking.tellings import count_in_python, count_tellings

NOTHING = {"of_oneself": 0.0, "happened": 0.0, "named": 0.0}


def signals_of(text, rng):
    pool = random_pool(rng, 1)
    pool.told[0] = Told(text, 0, speaker_of(text))
    question = make_question("who?", None)
    return {name: round(float(signal(question, pool)[0]), 3) for name, signal in SIGNALS.items()}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", {}),
        ("Ann: Thanks! That is so kind of you.", {}),
        ("Ann: I went there with my kids", {"of_oneself": 0.5, "happened": 0.25}),
        ("we talked, and talked again", {"of_oneself": 0.25, "happened": 0.25}),
        ("Ann: the train to Lisbon and Porto. The rest is easy", {"named": 0.667}),
        ("Ann: so I see [shares a photo of Anna and Lisa in Rome]", {"of_oneself": 0.25}),
        ("my my my my my my", {"of_oneself": 1.0}),
        ("\u6211\u4eca\u5929\u53bb\u4e86\u5317\u4eac", {}),
    ],
)
def test_counts(text, told, rng):
    assert signals_of(text, rng) == {**NOTHING, **told}


PIECES = [
    *(
        "I",
        "I'm",
        "my",
        "My",
        "we've",
        "was",
        "talked",
        "just",
        "Rome",
        "Anna",
        "O'Neil",
        "McCoy",
        "USA",
        "iPhone",
    ),
    *(" ", ". ", "! ", "? ", "ed ", " [shares ", "\t", "\n", "\xa0", "\x85", "\u2028", "\x1f", "\u200b"),
    *("\xc9t\xe9", "\xdf", "\xaa", "\xd7", "\u2019s", "\u2014", "\U0001f600", "\u2764\ufe0f", "\u732b"),
    *("\u01c5", "\u1e9e", "\U0001f130", "\u0645", "\u00b5", "Ann: ", "-"),
]
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), st.text(max_size=300))


@given(st.lists(st.tuples(texts, st.sampled_from(["", "ann", "ann lee", "x" * 250])), max_size=5))
@example([("Ann: Rome! " + "\U0001f600" * 300, "ann")])
def test_counted_natively_as_in_python(pairs):
    cleaned = [(text.encode(errors="replace").decode(), speaker) for text, speaker in pairs]
    told = [Told(text, 0, speaker) for text, speaker in cleaned]
    assert count_tellings(told).tolist() == [list(count_in_python(*pair)) for pair in cleaned]


def test_most_characters_need_no_python(monkeypatch):
    def refused(*_):
        raise AssertionError

    monkeypatch.setattr("arrowmind.memory.ranking.tellings.count_in_python", refused)
    told = [Told("Ann: I\u2019m in Caf\xe9 Z\xfcrich \U0001f600 \u2014 with my kids", 0, "ann")]
    assert count_tellings(told).tolist() == [[1, 0, 2]]


def test_every_common_character_is_of_the_kind_that_python_says():
    singles = [
        chr(code) for code in (*range(0x3000), *range(0x1F000, 0x1FC00)) if not 0xD800 <= code < 0xE000
    ]
    told = [Told(f"x a{one}b {one}bc {one.upper()}d", 0, "") for one in singles]
    expected = [list(count_in_python(item.text, "")) for item in told]
    assert count_tellings(told).tolist() == expected
