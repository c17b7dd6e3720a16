"""Texts cut for calibration and training."""

from __future__ import annotations

from arrowmind.quantize.corpus import documentation, pieces


def test_documentation_is_at_hand():
    found = documentation()
    assert len(found) > 500
    assert found == sorted(set(found))


def test_pieces_are_sentences_and_runs_of_words_by_turns():
    texts = ["One two three. Four five!  Six seven eight nine ten?\n\nEleven twelve", "", "   "]
    found = pieces(texts, 40, seed=3)
    assert len(found) == 40
    assert set(found[1::2]) == {"One two three.", "Four five!", "Six seven eight nine ten?", "Eleven twelve"}
    words = texts[0].split()
    joined = " ".join(words)
    assert all(piece in joined for piece in found[::2])
    assert found == pieces(texts, 40, seed=3)
    assert found != pieces(texts, 40, seed=4)
    assert max(len(piece.split()) for piece in pieces(["a " * 500], 20, seed=0)) == 64
    assert pieces(["", " "], 5, seed=0) == []
