"""Watches running servers by the figures that they give away.

::

    samples    the text of /metrics as numbers by name and labels
    summary    what people want to know of two samples: memory, rates, queues
    targets    addresses and processes that are asked, and what came of it
    tables     a summary as text
    panel      the live panel (textual, the extra `monitor`)
"""

from __future__ import annotations

from arrowmind.monitor.samples import Sample, parse_metrics
from arrowmind.monitor.summary import ModelSummary, Summary, summarise
from arrowmind.monitor.targets import Reading, Target, target_of

__all__ = [
    "ModelSummary",
    "Reading",
    "Sample",
    "Summary",
    "Target",
    "parse_metrics",
    "summarise",
    "target_of",
]
