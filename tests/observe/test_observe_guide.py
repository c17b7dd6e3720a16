"""The guide lists every metric as it is."""

from __future__ import annotations

import json
import pathlib
from dataclasses import asdict

from tests.docs.pages import blocks

from arrowmind.monitor import ModelSummary, Summary
from arrowmind.observe import metrics

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guide" / "observability.md"


def test_the_table_is_that_of_the_module():
    expected = [f"| `{metric.name}` | {metric.kind} | {metric.doc} |" for metric in metrics.all_metrics()]
    assert [line for line in GUIDE.read_text().splitlines() if line.startswith("| `")] == expected


def test_the_examples_run(capsys, monkeypatch):
    for language, body in blocks("docs/guide/observability.md"):
        if language == "python":
            exec(compile(body, str(GUIDE), "exec"), {})
        elif language == "json":
            json.loads(body)
    assert capsys.readouterr().out.startswith("{")


def test_the_fields_of_the_snapshot_are_those_of_a_summary():
    (body,) = [
        body
        for language, body in blocks("docs/guide/observability.md")
        if "servers" in body and language == "json"
    ]
    (server,) = json.loads(body)["servers"]
    assert set(server) - {"server", "problem"} <= set(Summary().to_dict())
    assert set(server["models"][0]) <= set(asdict(ModelSummary("")))
