"""Results are named by what was measured and when."""

from __future__ import annotations

import json

import pytest

from arrowmind.bench.results import write_result

RESULT = {"started": "2026-11-21T05:11:27+00:00", "figure": 1}


@pytest.mark.parametrize("name", ["bench", "bench-llm"])
def test_the_default_name_of_a_result_sorts_by_time(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = write_result(RESULT, None, name)
    assert path.name.startswith(f"{name}-2026-11-21T051127")
    assert ":" not in path.name
    assert json.loads(path.read_text(encoding="utf-8")) == RESULT


def test_a_named_file_is_made_where_it_is_named(tmp_path):
    path = tmp_path / "deep" / "one.json"
    assert write_result(RESULT, path, "bench") == path
    assert path.exists()
