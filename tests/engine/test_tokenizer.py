"""Tokenising: truncation, windows, and texts that are not nice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import tokenizer as reference

from arrowmind.engine.inputs import check_texts
from arrowmind.engine.tokenizer import TextTokenizer
from arrowmind.errors import InvalidArgumentError, TokenizerError

CLS, SEP, UNKNOWN = 2, 3, 1


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    reference.build().save(str(path))
    return path


@pytest.fixture(scope="module")
def tokenizer(path):
    return TextTokenizer(path, 12)


def test_agrees_with_the_library(tokenizer):
    texts = ["the cat sat.", "", "a dog ran far away, and back!"]
    assert tokenizer.encode(texts) == [reference.build().encode(text).ids[:12] for text in texts]


def test_cuts_at_max_tokens_and_keeps_the_special_tokens(tokenizer):
    (ids,) = tokenizer.encode(["the cat " * 50])
    assert len(ids) == 12
    assert (ids[0], ids[-1]) == (CLS, SEP)


def test_padding_and_truncation_of_the_file_are_not_obeyed(tmp_path):
    saved = reference.build()
    saved.enable_padding(length=30)
    saved.enable_truncation(max_length=4)
    saved.save(str(tmp_path / "tokenizer.json"))
    assert len(TextTokenizer(tmp_path / "tokenizer.json", 12).encode(["the cat sat on the mat"])[0]) == 8


@pytest.mark.parametrize("filler", [" ", "\n", "\t\n "])
def test_a_long_run_of_blanks_does_not_hide_what_follows(tokenizer, filler):
    """The text is looked at piece by piece; words far behind the first piece must still be found."""
    text = "the" + filler * 40_000 + "cat sat"
    assert tokenizer.encode([text]) == tokenizer.encode(["the cat sat"])


def test_a_megabyte_is_read_no_further_than_needed(tokenizer):
    assert tokenizer.encode(["cat " * 250_000])[0] == tokenizer.encode(["cat " * 20])[0]


def test_lone_surrogates_are_read_as_replacement_characters(tokenizer):
    assert tokenizer.encode(["cat \ud800 sat"]) == tokenizer.encode(["cat � sat"])


def test_nul_bytes_are_a_text(tokenizer):
    (ids,) = tokenizer.encode(["cat\0sat"])
    assert (ids[0], ids[-1]) == (CLS, SEP)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(text=st.text(max_size=400), size=st.integers(3, 12))
def test_windows_lose_nothing_and_fit(path, text, size):
    tokenizer = TextTokenizer(path, 12)
    windows = tokenizer.windows(text, size)
    assert "".join(windows) == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert len(windows) >= 1


def test_windows_hold_as_many_tokens_as_fit(tokenizer):
    windows = tokenizer.windows("the cat sat on the mat and ran far away", 6)
    assert windows == ["the cat sat on ", "the mat and ran ", "far away"]
    assert [len(ids) for ids in tokenizer.encode(windows)] == [6, 6, 4]


def test_windows_need_room(tokenizer):
    with pytest.raises(InvalidArgumentError, match="leaves no room"):
        tokenizer.windows("the cat", 2)


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"model": 3}'])
def test_damaged_file(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(TokenizerError, match=r"is not a tokenizer\.json"):
        TextTokenizer(tmp_path / "tokenizer.json", 12)


def test_missing_file(tmp_path):
    with pytest.raises(TokenizerError, match="is missing"):
        TextTokenizer(tmp_path / "tokenizer.json", 12)


@pytest.mark.parametrize("texts", [None, 3, b"bytes", 2.5])
def test_texts_must_be_strings(texts):
    with pytest.raises(InvalidArgumentError, match="give a string or a list of strings"):
        check_texts(texts)


def test_the_item_that_is_no_string_is_named():
    with pytest.raises(InvalidArgumentError, match=r"texts\[1\] is int"):
        check_texts(["a", 3])


@pytest.mark.parametrize("first", ["cut", "uncut"])
def test_either_tokenizer_may_be_asked_for_first(path, first):
    tokenizer, text = TextTokenizer(path, 6), "the cat sat on the mat and ran far away"
    if first == "cut":
        (cut,) = tokenizer.encode([text])
        whole = tokenizer.encode_whole(text)
    else:
        whole = tokenizer.encode_whole(text)
        (cut,) = tokenizer.encode([text])
    assert len(cut) == 6
    assert len(whole) == 12
    assert tokenizer.encode_whole(text) == whole  # neither changed the other
    assert tokenizer.encode([text]) == [cut]
    assert text in tokenizer.decode(whole)


@pytest.mark.parametrize("first", ["encode", "encode_whole"])
def test_a_vocabulary_is_loaded_once_where_one_tokenizer_is_used(path, monkeypatch, first):
    tokenizer = TextTokenizer(path, 6)
    monkeypatch.setattr("arrowmind.engine.tokenizer._copy", lambda _: pytest.fail("it was loaded again"))
    getattr(tokenizer, first)(["the cat"] if first == "encode" else "the cat")
    assert tokenizer.vocabulary > 0
