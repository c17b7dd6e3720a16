from __future__ import annotations

import gc

import pytest

from arrowmind import _native
from tests.device.bench import Bench
from tests.device.fake import Fake
from tests.device.machine import KERNEL_DEVICES, order_of_fibers


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


@pytest.fixture(scope="session", params=list(KERNEL_DEVICES))
def bench(request, tmp_path_factory):
    """A device that has every kernel; one for all tests, as some take long to compile their kernels."""
    device = KERNEL_DEVICES[request.param](tmp_path_factory.mktemp(request.param))
    return Bench(device, order_of_fibers(request.param))
