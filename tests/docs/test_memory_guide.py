"""The examples of the guide to the memory do what it says."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import pytest
from tests.memory.fake_encoder import FakeEncoder

from arrowmind import ArrowQuantizer
from arrowmind.cli.main import run
from arrowmind.weights import convert_model

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "memory.md"


FOUND = {"notes": "The kettle is in the cupboard.", "chats": "Ann: I bought a red kayak."}


def blocks():
    fenced = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
    return fenced.findall(GUIDE.read_text(encoding="utf-8"))


def run_guide(capsys):
    """Runs the blocks in order; what a Python block prints is in the block after it."""
    names, printed = {}, ""
    for kind, body in blocks():
        if kind == "python":
            assert printed == "", "the output of a block is not shown"
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, GUIDE.name, "exec"), names)
            printed = out.getvalue()
        elif kind == "output":
            assert printed == body
            printed = ""
        elif kind == "json":
            check_entry(json.loads(body)["mcpServers"]["memory"], capsys)
        else:
            run_shell(body, capsys)
    assert printed == ""


def check_entry(entry, capsys):
    """The entry for an agent's program names a command and options that there are."""
    assert entry["command"] == "arrowmind"
    assert run([entry["args"][0], "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in entry["args"] if word.startswith("--"))


def run_shell(commands, capsys):
    for line in commands.splitlines():
        name, *words = shlex.split(line)
        assert name == "arrowmind"
        assert run(words) == 0, line
        shown = capsys.readouterr().out
        if words[0] == "recall":
            text = FOUND[words[words.index("--store") + 1]]
            assert text in shown


def test_with_a_stand_in_for_the_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for place in ("arrowmind.ArrowEngine", "arrowmind.cli.engines.ArrowEngine"):
        monkeypatch.setattr(place, lambda *_, **__: FakeEncoder())
    run_guide(capsys)


@pytest.mark.slow
def test_with_the_real_model(tmp_path, minilm_source, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    convert_model(minilm_source, "models/minilm")
    ArrowQuantizer().quantize("models/minilm", "models/minilm-int8")
    run_guide(capsys)
