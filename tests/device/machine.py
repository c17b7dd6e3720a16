"""The devices that this machine has."""

from __future__ import annotations

import os
import tempfile

import pytest

from arrowmind import _native

# Mesa's driver that computes on the CPU asks for it, and complains where there is none.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())


def open_or_skip(kind: str) -> _native.Device:
    """The first device of a kind; skips the test, with the reason, where there is none."""
    registry = _native.DeviceRegistry()
    found = registry.probe(kind)
    if found["availability"] != "usable":
        pytest.skip(f"no {kind} device ({found['availability']}): {found['words']}")
    return registry.open(kind)
