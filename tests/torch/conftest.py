"""Tests of the bridge to torch. Those of shared memory run without it."""

from __future__ import annotations

import pytest

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
