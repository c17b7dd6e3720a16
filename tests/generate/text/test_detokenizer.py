"""Text as tokens come: the whole is the library's, and no delta breaks a character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference.generating_tokenizers import KINDS, SPECIAL, TEXTS, byte_level, sentence_piece
from tokenizers import decoders

from arrowmind.errors import TokenizerError
from arrowmind.generate import Detokenizer, TokenPieces

TOKENIZERS = {name: build() for name, build in KINDS.items()}


def stream(tokenizer, ids, **options):
    detokenizer = Detokenizer(TokenPieces(tokenizer), **options)
    return [*(detokenizer.add(token) for token in ids), detokenizer.finish()]


def is_text(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(data=st.data())
def test_the_whole_is_what_the_library_decodes(kind, data):
    tokenizer = TOKENIZERS[kind]
    ids = data.draw(st.lists(st.integers(0, tokenizer.get_vocab_size() + 3), max_size=12))
    pieces = TokenPieces(tokenizer)
    raw = b"".join(pieces.of(token) for token in ids if token not in pieces.special)
    text = "".join(stream(tokenizer, ids, continuing=False))
    if is_text(raw):  # else the library writes other numbers of U+FFFD, see below
        assert text == tokenizer.decode(ids)
        assert "".join(stream(tokenizer, ids)) == raw.decode()
    else:
        assert "\ufffd" in text


@pytest.mark.parametrize("text", TEXTS)
def test_characters_of_several_tokens_come_whole(text):
    tokenizer = TOKENIZERS["byte level"]
    deltas = stream(tokenizer, tokenizer.encode(text).ids)
    assert "".join(deltas) == text
    assert "\ufffd" not in "".join(deltas)


def test_a_character_over_four_tokens_waits_for_the_last():
    ids = [TOKENIZERS["sentence piece"].token_to_id(f"<0x{byte:02X}>") for byte in "\U0001f600".encode()]
    assert stream(TOKENIZERS["sentence piece"], ids) == ["", "", "", "\U0001f600", ""]
    assert stream(TOKENIZERS["sentence piece"], ids[:3]) == ["", "", "", "\ufffd"]


def test_invalid_bytes_cost_only_themselves():
    tokenizer = TOKENIZERS["sentence piece"]
    ids = [tokenizer.token_to_id(name) for name in ("<0x41>", "<0xC3>", "<0xA9>", "<0xFF>", "<0xC3>", "at")]
    assert stream(tokenizer, ids) == ["A", "", "\u00e9", "\ufffd", "", "\ufffdat", ""]


def test_the_first_space_stays_where_a_text_continues():
    tokenizer = TOKENIZERS["sentence piece"]
    ids = [tokenizer.token_to_id(name) for name in ("\u2581the", "\u2581cat")]
    assert "".join(stream(tokenizer, ids)) == " the cat"
    assert "".join(stream(tokenizer, ids, continuing=False)) == "the cat" == tokenizer.decode(ids)


def test_special_tokens_are_left_out_unless_asked_for():
    tokenizer = byte_level()
    ids = [tokenizer.token_to_id("a"), tokenizer.token_to_id(SPECIAL), tokenizer.token_to_id("<tool call>")]
    assert stream(tokenizer, ids) == ["a", "", "<tool call>", ""]
    assert stream(tokenizer, ids, skip_special=False) == ["a", SPECIAL, "<tool call>", ""]


def test_ids_without_a_token_add_nothing():
    assert stream(byte_level(), [10**6]) == ["", ""]


@pytest.mark.parametrize("decoder", [None, decoders.WordPiece(), decoders.CTC(), decoders.Strip(" ", 1, 0)])
def test_decoders_that_cannot_stream_are_refused(decoder):
    tokenizer = sentence_piece()
    tokenizer.decoder = decoder
    with pytest.raises(TokenizerError, match="decoder"):
        TokenPieces(tokenizer)
