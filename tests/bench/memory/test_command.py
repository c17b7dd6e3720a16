"""`arrowmind bench memory`: its options, its JSON and its exit codes."""

from __future__ import annotations

import json

import pytest
from tests.bench.memory.small import write_conversations
from tests.memory.fake_encoder import FakeEncoder

import arrowmind
from arrowmind.bench import main
from arrowmind.bench.memory import command


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The command with an encoder of which only the words count."""
    data = write_conversations(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(arrowmind, "ArrowEngine", lambda folder: FakeEncoder())

    def run(*words):
        code = main(["memory", "--locomo", str(data), "--model", "m", "--out", "r/a.json", *words])
        return code, json.loads((tmp_path / "r" / "a.json").read_text())

    return run


def test_the_result_holds_everything(bench, capsys):
    code, result = bench()
    assert code == 0
    assert (result["format"], result["version"]) == (command.FORMAT, command.VERSION)
    assert (result["workload"]["turns"], result["workload"]["questions"]) == (8, 4)
    assert result["shipped"]["all"]["questions"] == 4
    assert result["shipped"]["single-hop"]["turn_any10"] == 100
    assert result["recall"]["p50_ms"] > 0
    assert len(result["targets"]) == 3
    assert "written: r/a.json" in capsys.readouterr().out


def test_json_goes_to_the_output(bench, capsys):
    _, result = bench("--json")
    assert json.loads(capsys.readouterr().out) == result


def test_check_fails_for_an_unreached_target(bench, monkeypatch):
    monkeypatch.setattr("arrowmind.bench.memory.targets._TARGETS", (("turn_any10", "turns", 101.0),))
    assert bench("--check")[0] == 1
    assert bench()[0] == 0
