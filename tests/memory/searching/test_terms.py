"""Text to terms: what finds what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind.memory.searching.terms import STOP_WORDS, query_terms, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dogs' kennel", ["the", "dog", "kennel"]),
        ("don't stop", ["dont", "stop"]),
        ("Don\u2019t", ["dont"]),
        ("caf\u00e9 na\u00efve Stra\u00dfe", ["caf", "naiv", "strass"]),
        ("\u0130stanbul", ["istanbul"]),
        ("x_y 3.14", ["x_y", "3", "14"]),
        ("classes class campus basis", ["class", "class", "campus", "basis"]),
        ("is was bed", ["is", "was", "bed"]),
        ("\ufb01ne", ["fin"]),
        ("\u5317\u4eac\u70e4\u9e2d", ["\u5317\u4eac", "\u4eac\u70e4", "\u70e4\u9e2d"]),
        ("\u597d", ["\u597d"]),
        ("Tokyo\u6771\u4eac", ["tokyo", "\u6771\u4eac"]),
        ("\ud55c\uad6d\uc5b4", ["\ud55c\uad6d", "\uad6d\uc5b4"]),
        ("\u304c\u304e", ["\u304c\u304e"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", ["\u0939\u0928\u0926"]),
        ("", []),
        ("?! -- '' \u2026", []),
    ],
)
def test_terms(text, expected):
    assert terms(text) == expected


@pytest.mark.parametrize(
    "forms",
    [
        ("run", "runs", "running"),
        ("hop", "hops", "hopped", "hopping"),
        ("love", "loves", "loved", "loving"),
        ("city", "cities"),
        ("study", "studies", "studied", "studying"),
        ("Anna", "Anna's", "anna\u2019s"),
        ("pass", "passes", "passed", "passing"),
    ],
)
def test_forms_of_a_word_meet(forms):
    assert len({tuple(terms(form)) for form in forms}) == 1


def test_stop_words_go_only_where_something_is_left():
    assert query_terms("where are the keys") == {"key": "keys"}
    assert list(query_terms("what is it")) == ["what", "is", "it"]
    assert list(query_terms('AND OR NOT "the"')) == ["and", "or", "not", "the"]
    assert query_terms("key Key KEYS") == {"key": "key"}
    assert query_terms("\u5317\u4eac\u9e2d") == {
        "\u5317\u4eac": "\u5317\u4eac",
        "\u4eac\u9e2d": "\u4eac\u9e2d",
    }
    assert {"the", "where"} <= STOP_WORDS


def test_terms_and_queries_are_bounded():
    assert max(map(len, terms("a" * 1_000_000))) <= 64
    assert len(query_terms(" ".join(f"w{i}" for i in range(10_000)))) == 128
    assert len(query_terms("\u5317\u4eac" * 100_000)) <= 128


@settings(derandomize=True, max_examples=300)
@given(st.text(max_size=60))
def test_terms_never_fail_and_hold_no_blanks(text):
    for term in terms(text):
        assert term
        assert not any(char.isspace() for char in term)
        assert len(term) <= 64
    assert set(query_terms(text)) <= set(terms(text))
