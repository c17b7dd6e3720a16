"""The examples of the guide to torch do what it says."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
from tests.docs.pages import ROOT, blocks, table_rows
from tests.reference import folder

from arrowmind.torch import channel
from arrowmind.weights import convert_model

PAGE = "docs/guide/torch.md"

pytestmark = pytest.mark.torch


def test_every_block_in_order(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(channel, "_root", lambda: tmp_path)
    convert_model(folder.write(tmp_path / "hf", folder.weights()), tmp_path / "models" / "minilm")
    names, printed = {}, ""
    for language, body in blocks(PAGE):
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, PAGE, "exec"), names)
            printed = out.getvalue()
        else:
            assert printed == body


def test_every_strategy_is_in_the_table():
    pytest.importorskip("torch")
    from arrowmind.torch import available

    described = {row[0].strip("`") for row in table_rows(PAGE, "Strategies for the CPU")}
    assert described == set(available())


def test_the_extra_exists():
    (extra,) = re.findall(r"arrowmind\[(\w+)\]", (ROOT / PAGE).read_text())
    assert re.search(rf"^{extra} = ", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
