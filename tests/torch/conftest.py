"""Tests of the bridge to torch. Those of shared memory run without it."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no pool of processes for one small model

# torch's own, in modules that it imports itself.
IGNORED = (
    "ignore:.*torch.jit.*:DeprecationWarning",
    "ignore:.*isinstance.*LeafSpec.*:FutureWarning",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/torch/" in item.nodeid:
            for text in IGNORED:
                item.add_marker(pytest.mark.filterwarnings(text))
