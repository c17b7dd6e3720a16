"""A text in pieces has the tokens of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engine.writers import write_stories
from tests.reference.generating_tokenizers import byte_level
from tokenizers import Tokenizer

from arrowmind.engine import cutting
from arrowmind.engine.cutting import TextCutter

WORDS = [
    "Once",
    "upon a",
    "time,",
    "caf\u00e9",
    "",
    "\u65e5\u672c\u8a9e,",
    "12,345.67",
    "--",
    "don't!\n\nShe",
    "said:\tno\n",
]


def text(count, seed=2):
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(WORDS, count).tolist())


def pieces(whole, sizes):
    rng = np.random.default_rng(4)
    begin = 0
    while begin < len(whole):
        end = begin + int(rng.integers(1, sizes))
        yield whole[begin:end]
        begin = end


def in_pieces(tokenizer, whole, sizes):
    cutter = TextCutter(tokenizer)
    found = list(cutter.first)
    for piece in pieces(whole, sizes):
        found += cutter.add(piece)
    return found + cutter.finish()


@pytest.fixture(scope="module", params=["bytes", "stories"])
def tokenizer(request, shared_data, tmp_path_factory):
    if request.param == "bytes":
        return byte_level()
    folder = write_stories(shared_data, tmp_path_factory.mktemp("models") / "stories")
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.no_truncation()
    return made


@pytest.mark.parametrize("sizes", [2, 40, 3000])
def test_pieces_have_the_tokens_of_the_whole(tokenizer, sizes, monkeypatch):
    monkeypatch.setattr(cutting, "_ENOUGH", 200)
    whole = text(600)
    assert in_pieces(tokenizer, whole, sizes) == tokenizer.encode(whole).ids


def test_a_text_without_spaces_is_cut_all_the_same(tokenizer, monkeypatch):
    monkeypatch.setattr(cutting, "_ENOUGH", 200)
    whole = "\u65e5\u672c" * 1000
    found = in_pieces(tokenizer, whole, 300)
    assert tokenizer.decode(found).replace("\u0120", "") == whole


def test_nothing_and_surrogates(tokenizer):
    cutter = TextCutter(tokenizer)
    assert cutter.add("") == cutter.finish() == []
    cutter.add("a\ud800 b")
    assert cutter.finish() == tokenizer.encode("a\ufffd b", add_special_tokens=False).ids
