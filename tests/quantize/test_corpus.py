"""Texts cut for calibration and training."""

from __future__ import annotations

from arrowmind.quantize.corpus import documentation, pieces


def test_documentation_is_at_hand():
    found = documentation()
    assert len(found) > 500
    assert found == sorted(set(found))


def test_pieces_are_sentences_and_every_third_a_run_of_words_inside_one():
    texts = ["One two three. Four five!  Six seven eight nine ten?\n\nEleven twelve", "", "   "]
    sentences = {"One two three.", "Four five!", "Six seven eight nine ten?", "Eleven twelve"}
    found = pieces(texts, 60, seed=3)
    assert len(found) == 60
    assert {piece for at, piece in enumerate(found) if at % 3 != 1} == sentences
    runs = set(found[1::3])
    assert runs - sentences == {"Six seven eight nine", "seven eight nine ten?"}
    assert found == pieces(texts, 60, seed=3)
    assert found != pieces(texts, 60, seed=4)


def test_pieces_are_of_bounded_length():
    assert max(len(piece.split()) for piece in pieces(["a " * 500], 20, seed=0)) == 64


def test_no_words_give_no_pieces():
    assert pieces(["", " "], 5, seed=0) == []
