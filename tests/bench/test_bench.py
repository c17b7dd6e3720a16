"""A whole small benchmark with the real encoder, and its result compared with itself."""

from __future__ import annotations

import json

import pytest

from arrowmind.bench import main

SMALL = [
    "--strategies",
    "arrowmind-int8",
    "--rounds",
    "1",
    "--sentences",
    "16",
    "--neighbour-rounds",
    "0",
    "--no-operators",
    "--no-tuning",
]


@pytest.mark.slow
def test_measure_and_compare(tmp_path, minilm_source, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "--source", str(minilm_source), "--out", "a.json", "--cache", "cache"]) == 0
    printed = capsys.readouterr().out
    assert "arrowmind-int8" in printed
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["contenders"]["arrowmind-int8"]["error"] is None
    assert result["contenders"]["arrowmind-int8"]["summary"]["sentences_per_s"]["median"] > 0
    assert main(["compare", "a.json", "a.json"]) == 0
