from __future__ import annotations

import logging

import pytest

from arrowmind.observe import metrics


@pytest.fixture(autouse=True)
def fresh_observation():
    """Every test starts with untouched logging and empty metrics."""
    root = logging.getLogger("arrowmind")
    before = (list(root.handlers), root.level, root.propagate)
    metrics.reset_metrics()
    yield
    root.handlers[:], root.level, root.propagate = before[0], before[1], before[2]
    root.setLevel(before[1])
    metrics.reset_metrics()
