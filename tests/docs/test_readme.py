"""The README's examples do what it says, with the real encoder."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from arrowmind import ArrowQuantizer
from arrowmind.cli.main import run
from arrowmind.weights import convert_model

README = Path(__file__).resolve().parents[2] / "README.md"


def blocks(language):
    fenced = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
    return [body for found, body in fenced.findall(README.read_text(encoding="utf-8")) if found == language]


@pytest.fixture
def checkout(tmp_path, minilm_source, monkeypatch):
    """A folder with the models that the demo leaves."""
    monkeypatch.chdir(tmp_path)
    convert_model(minilm_source, "models/minilm")
    ArrowQuantizer().quantize("models/minilm", "models/minilm-int8")
    return tmp_path


@pytest.mark.slow
def test_ten_lines(checkout):
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert "The spare key is under the third flowerpot." in printed.getvalue()
    assert len(printed.getvalue().splitlines()) == 1


@pytest.mark.slow
def test_the_same_from_a_shell(checkout, capsys):
    shutil.rmtree("models/minilm-int8")
    (commands,) = [block for block in blocks("") if block.lstrip().startswith("arrowmind ")]
    for line in commands.strip().splitlines():
        name, *words = shlex.split(line)
        assert name == "arrowmind"
        assert run(words) == 0, line
        if words[0] == "recall":
            assert "The spare key is under the third flowerpot." in capsys.readouterr().out
