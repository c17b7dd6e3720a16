"""Our metrics in the Prometheus text format."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from arrowmind.observe.metrics import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

__all__ = ["render"]


def render(metrics: Iterable[Counter | Histogram]) -> str:
    """The text that a Prometheus server reads."""
    registry = CollectorRegistry()
    registry.register(_Collector(list(metrics)))
    return generate_latest(registry).decode("utf-8")


class _Collector:
    def __init__(self, metrics: list[Counter | Histogram]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return (_family(metric) for metric in self._metrics)


def _family(metric: Counter | Histogram) -> Metric:
    if isinstance(metric, Histogram):
        return _histogram(metric)
    family_type = GaugeMetricFamily if isinstance(metric, Gauge) else CounterMetricFamily
    family = family_type(metric.name, metric.doc, labels=metric.labels)
    for labels, value in (metric.values() or metric.zero()).items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: Histogram) -> Metric:
    family = HistogramMetricFamily(metric.name, metric.doc, labels=metric.labels)
    bounds = [*(f"{bound:g}" for bound in metric.bounds), "+Inf"]
    for labels, (counts, total) in (metric.values() or metric.zero()).items():
        family.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
    return family
