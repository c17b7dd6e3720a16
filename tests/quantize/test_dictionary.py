"""Sentences of an installed dictionary."""

from __future__ import annotations

from arrowmind.quantize.dictionary import dictionary

LICENCE = "  1 This software is provided | as it is, and this line stands in the head of each file\n"
NOUN = (
    '00001740 03 n 01 entity 0 000 | that which is perceived; "an entity of its own kind"; '
    '"two words"  \n'
    "00001930 03 n 01 thing 0 000 | something of no name  \n"
    "00002137 03 n 01 key 0 000 | short  \n"
)


def test_examples_come_first_then_definitions(tmp_path):
    (tmp_path / "data.noun").write_text(LICENCE + NOUN)
    assert dictionary(tmp_path) == ["an entity of its own kind", "something of no name"]


def test_without_a_dictionary_there_are_none(tmp_path):
    assert dictionary(tmp_path / "nowhere") == []


def test_bytes_that_are_no_text_are_read_as_such(tmp_path):
    (tmp_path / "data.verb").write_bytes(b"\xff\xfe\x00 no bar\n00 v | go \xff far away \n|\n| \n")
    assert dictionary(tmp_path) == ["go \ufffd far away"]
