"""The examples of the guide to consolidation do what it says."""

from __future__ import annotations

import contextlib
import io
import shlex

import pytest
import yaml
from tests.docs.pages import blocks
from tests.memory.fake_encoder import FakeEncoder

from arrowmind import ArrowQuantizer
from arrowmind.cli.main import run
from arrowmind.config import Config, keys
from arrowmind.weights import convert_model

PAGE = "docs/guide/consolidation.md"


def run_guide():
    names, printed = {}, ""
    for kind, body in blocks(PAGE):
        if kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(body, PAGE, "exec"), names)
            printed = out.getvalue()
        elif kind == "output":
            assert printed == body
        elif kind == "yaml":
            for name in yaml.safe_load(body)["consolidation"]:
                assert f"consolidation.{name}" in keys(Config)
        else:
            for line in body.splitlines():
                program, *words = shlex.split(line)
                assert program == "arrowmind"
                assert run(words) == 0, line
    names["view"].close()
    names["store"].close()


def test_with_a_stand_in_for_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("arrowmind.ArrowEngine", "arrowmind.cli.engines.ArrowEngine"):
        monkeypatch.setattr(place, lambda *_, **__: FakeEncoder())
    monkeypatch.setattr("arrowmind.cli.commands.consolidate.give_way", list)
    run_guide()


@pytest.mark.slow
def test_with_the_real_model(tmp_path, minilm_source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    convert_model(minilm_source, "models/minilm")
    ArrowQuantizer().quantize("models/minilm", "models/minilm-int8")
    monkeypatch.setattr("arrowmind.cli.commands.consolidate.give_way", list)
    run_guide()
