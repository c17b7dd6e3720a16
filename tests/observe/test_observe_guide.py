"""The guide lists every metric as it is."""

from __future__ import annotations

import pathlib

from arrowmind.observe import metrics

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guide" / "observability.md"


def test_the_table_is_that_of_the_module():
    expected = [f"| `{metric.name}` | {metric.kind} | {metric.doc} |" for metric in metrics.all_metrics()]
    assert [line for line in GUIDE.read_text().splitlines() if line.startswith("| `")] == expected
