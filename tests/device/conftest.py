from __future__ import annotations

import gc

import pytest

from arrowmind import _native
from tests.device.fake import Fake


@pytest.fixture
def fake(tmp_path):
    """A fake device in place of cuda; at the end only the device itself may be left."""
    device = Fake(tmp_path)
    yield device
    gc.collect()
    assert device.live().keys() <= {"devices"}


@pytest.fixture
def registry(tmp_path):
    return _native.DeviceRegistry(str(tmp_path))
