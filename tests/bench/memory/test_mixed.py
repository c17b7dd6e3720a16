"""Memories of several kinds, asked for across them."""

from __future__ import annotations

import json

import pytest

from arrowmind.bench import main
from arrowmind.bench.memory import mixed
from arrowmind.observe import no_progress


def test_what_is_measured(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(mixed, "_ASKED", 20)
    code = main(["memory", "--mixed", "400", "--out", str(tmp_path / "a.json"), "--check"])
    result = json.loads((tmp_path / "a.json").read_text())["mixed"]
    assert result["memories"] == 400
    for edges in ("with_edges", "without_edges"):
        assert min(result[edges]["together"].values()) >= 95
        assert result[edges]["recall"]["p99_ms"] > 0
    assert min(result["with_edges"]["after"].values()) >= 90
    assert max(result["without_edges"]["after"].values()) <= 20
    printed = capsys.readouterr().out
    assert "image finds sound, stored apart" in printed
    reached = [target["reached"] for target in json.loads((tmp_path / "a.json").read_text())["targets"]]
    assert code == int(not all(reached))


def test_without_an_alignment_kinds_stored_apart_are_not_found(monkeypatch):
    monkeypatch.setattr(mixed, "_ASKED", 20)
    monkeypatch.setattr(mixed.MemoryStore, "align", lambda _store: None)
    measured = mixed.measure_mixed(400, no_progress)
    assert max(measured["without_edges"]["apart"].values()) < 40
    assert min(measured["without_edges"]["together"].values()) >= 95


def test_something_must_be_asked_for(capsys):
    with pytest.raises(SystemExit):
        main(["memory"])
    assert "give --locomo, --mixed, --large or --beside" in capsys.readouterr().err
