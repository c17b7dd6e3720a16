"""Terms counted natively against the module that makes them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrowmind import _native
from arrowmind.memory.searching.terms import terms

LETTERS = "abdefgilmnoprstuyssedinglyies'\u2019 -_.,AEIOU9\u00e9\u00d7\u2026\u2014\u00a0\u00ff\u00f7"


def check(text):
    expected = Counter(terms(text))
    counts, lengths = _native.count_terms([text], list(expected))
    assert counts.tolist() == [list(expected.values())]
    assert lengths.tolist() == [expected.total()]


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.text(LETTERS, max_size=200))
def test_latin_words(text):
    check(text)


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.text("abdelringstuys'", max_size=100))
def test_endings_and_long_words(text):
    check(text)


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.text(max_size=30))
def test_any_text_is_counted_or_left(text):
    _, lengths = _native.count_terms([text], ["x"])
    if lengths[0] >= 0:
        check(text)


def test_every_character_is_counted_or_left():
    chosen = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    texts = [f"ab{char}cd e" for char in chosen]
    _, lengths = _native.count_terms(texts, [])
    for text, length in zip(texts, lengths.tolist(), strict=True):
        assert length in (-1, len(terms(text))), repr(text)
    assert (lengths >= 0).sum() > 200


def test_texts_of_other_scripts_are_left():
    counts, lengths = _native.count_terms(["a b a", "\u5317\u4eac a", ""], ["a", "\u5317\u4eac"])
    assert lengths.tolist() == [3, -1, 0]
    assert counts[0].tolist() == [2, 0]


def test_what_is_no_text_is_refused():
    with pytest.raises(TypeError):
        _native.count_terms([1], ["a"])
    with pytest.raises(UnicodeEncodeError):
        _native.count_terms(["\ud800"], ["a"])
