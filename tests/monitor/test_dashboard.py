"""The dashboard for Grafana names metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

from arrowmind.observe import metrics

PLACE = Path(__file__).parents[2] / "docs" / "guide" / "grafana-dashboard.json"


def expressions():
    dashboard = json.loads(PLACE.read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_each_metric_of_the_dashboard_is_in_the_metrics():
    text = metrics.render_metrics()
    described = set(re.findall(r"^# TYPE (\w+)", text, flags=re.MULTILINE))
    described |= {f"{name}_bucket" for name in described}
    for expression in expressions():
        for name in re.findall(r"arrowmind_\w+", expression):
            assert name in described, expression


def test_each_metric_is_on_the_dashboard():
    shown = " ".join(expressions())
    for metric in metrics.all_metrics():
        assert metric.name in shown, metric.name


def test_labels_of_the_dashboard_exist():
    known = {label for metric in metrics.all_metrics() for label in metric.labels} | {"le"}
    dashboard = json.loads(PLACE.read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= known


def test_panels_do_not_overlap():
    places = [tuple(panel["gridPos"].values()) for panel in json.loads(PLACE.read_text())["panels"]]
    assert len(set(places)) == len(places)
