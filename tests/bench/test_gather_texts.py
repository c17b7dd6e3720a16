"""Texts to calibrate on are gathered from what lies on a machine."""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gather_texts.py"
GLOSS = '00001740 03 n 01 entity 0 000 | that which is perceived to exist; "an entity of its own kind"\n'
PAGE = """<head><title>No Sentence Of Any Text</title></head><h1>Kites</h1><p>A kite needs a tail
&amp; a steady wind. It needs <b>no</b> engine at all.</p><script>var it = "is not a sentence";</script>"""
PACKAGE = """Package: kite
Description: toy that flies
 A kite flies where the wind blows.
 .
 It has a tail of cloth.
"""


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("gather_texts", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path):
    """A machine with one small file of each kind."""
    written = {
        "usr/share/wordnet/data.noun": GLOSS,
        "usr/share/doc/kite/index.html": PAGE,
        "usr/share/doc/kite/README.txt": "Hold the line with both hands.\n\n0x1f 0x2e 0x3d 17 + 4 = 21.\n",
        "usr/share/games/fortunes/wise": "Who waits for wind stays.\n\t\t-- A Sailor\n%\nGo home early.\n",
        "usr/share/games/fortunes/wise.dat": "This index is not read at all.",
        "var/lib/dpkg/status": PACKAGE,
    }
    for name, text in written.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "usr/share/dictd").mkdir()
    packed = gzip.compress(b"kite\n  A {toy} on a long line.\n")
    (tmp_path / "usr/share/dictd/toys.dict.dz").write_bytes(packed)
    return tmp_path


def test_each_kind_is_found_and_cleaned(script, root):
    found = script.gather([root])
    assert found["examples"] == {"an entity of its own kind"}
    assert found["definitions"] == {"that which is perceived to exist"}
    assert found["documents"] == {
        "A kite needs a tail & a steady wind.",
        "It needs no engine at all.",
        "Hold the line with both hands.",
    }
    assert found["quotations"] == {"Who waits for wind stays.", "Go home early."}
    assert found["packages"] == {
        "toy that flies A kite flies where the wind blows.",
        "It has a tail of cloth.",
    }
    assert found["dictd"] == {"kite A toy on a long line."}
    assert len(found["docstrings"]) > 100


def test_files_of_the_users_are_read_as_text_or_json(script, root):
    (root / "talk.json").write_text(
        json.dumps(
            {"a": [{"text": "See you at noon then."}, {"text": 5, "b": 1}], "text": "Bring the long rope."}
        )
    )
    (root / "plain.txt").write_text("The first paragraph ends here.\n\nThe second one does, too.")
    found = script.gather([], [root / "talk.json", root / "plain.txt"])["also"]
    assert found == {
        "See you at noon then.",
        "Bring the long rope.",
        "The first paragraph ends here.",
        "The second one does, too.",
    }


def test_shares_are_kept_and_equal_seeds_choose_the_same(script, monkeypatch):
    monkeypatch.setattr(script, "SHARES", {"examples": 5, "dictd": 9})
    found = {"examples": {f"e{i}" for i in range(40)}, "dictd": {"d0", "d1"}}
    kept = script.chosen(found, 1)
    assert sorted(line[0] for line in kept) == ["d", "d", "e", "e", "e", "e", "e"]
    assert kept == script.chosen(found, 1) != script.chosen(found, 2)


def test_runs_like_speech_are_cut(script):
    lines = ["The keeper asked why we had come so late.", "Kites fly.", "Rain fell on slate roofs all night."]
    lines += [f"Where is number {n}, do you know it?" for n in range(30)]
    runs = script.spoken(lines, 20, random.Random(1))
    assert len(runs) == len(set(runs)) == 20
    assert runs == script.spoken(lines, 20, random.Random(1))
    for run in runs:
        words = run.rstrip(".?").lower().split()
        assert words[0] in script.OPENINGS
        assert script.SHORTEST <= len(words) <= script.LONGEST
        assert run[0].isupper()
        assert any(" ".join(words) in " ".join(line.lower().split()) for line in lines)
    assert script.spoken(["Kites fly high today."], 20, random.Random(1)) == []


def test_a_damaged_file_is_left_out_and_named(script, root, capsys):
    (root / "usr/share/dictd/toys.dict.dz").write_bytes(b"\x1f\x8b no gzip")
    assert script.gather([root])["dictd"] == set()
    assert "toys.dict.dz" in capsys.readouterr().err


def test_the_command_writes_a_line_for_each_sentence(script, root, monkeypatch, capsys):
    monkeypatch.setattr(script, "gather", lambda roots, also: {"dictd": {"One line here.", "Another line."}})
    monkeypatch.setattr("sys.argv", ["gather_texts.py", str(root / "out.txt")])
    script.main()
    assert sorted((root / "out.txt").read_text().splitlines()) == ["Another line.", "One line here."]
    assert "2 sentences" in capsys.readouterr().out
    monkeypatch.setattr(
        "sys.argv", ["gather_texts.py", str(root / "out.txt"), "--root", str(root / "nowhere")]
    )
    with pytest.raises(SystemExit):
        script.main()


def test_sentences_of_some_files_come_several_times(script, tmp_path):
    path = tmp_path / "news.txt"
    path.write_text(
        "The bridge was closed again.\n\nThe bridge was closed again.\n\nTrains run on Sundays, too."
    )
    often = [script.repeated(f"{path}:3")]
    lines = script.chosen({"examples": {"A cat sat on the mat."}}, 7, often)
    assert sorted(lines).count("The bridge was closed again.") == 3
    assert lines.count("Trains run on Sundays, too.") == 3
    assert lines.count("A cat sat on the mat.") == 1


@pytest.mark.parametrize("argument", ["nowhere.txt:3", "{}", "{}:", "{}:-1", "{}:often"])
def test_how_often_is_a_number_behind_a_file(script, tmp_path, argument):
    (tmp_path / "here.txt").touch()
    with pytest.raises(argparse.ArgumentTypeError, match="how often"):
        script.repeated(argument.format(tmp_path / "here.txt"))
