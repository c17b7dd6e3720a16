"""Structured logs, metrics and progress.

::

    log       get_logger(name).info("event", key=value); configure_logging(level, format)
    format    how a record looks: a line for people, or one JSON object
    metrics   counters, gauges and histograms by name; render_metrics() in Prometheus text
    fallback  record_fallback(what, reason): every fallback is logged and counted
    bar       the terminal's rendering of that, for library calls with show_progress=True
    progress  what long-running library code calls with (done, total, what); bars draws it
"""

from __future__ import annotations

from arrowmind.observe import metrics
from arrowmind.observe.fallback import record_fallback
from arrowmind.observe.log import Logger, configure_logging, get_logger
from arrowmind.observe.metrics import render_metrics
from arrowmind.observe.progress import Progress, no_progress, progress_bar

__all__ = [
    "Logger",
    "Progress",
    "configure_logging",
    "get_logger",
    "metrics",
    "no_progress",
    "progress_bar",
    "record_fallback",
    "render_metrics",
]
