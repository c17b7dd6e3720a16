"""Weights on their way to a device: through pinned memory, several pieces at once; and faults on the way."""

from __future__ import annotations

import gc
import time

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.errors import DeviceError
from arrowmind.weights.tensor import float_tensor
from tests.device.fake import Fake

OUTPUTS, INPUTS = 2500, 1024  # 10 MiB: three pieces, the last one short


@pytest.fixture(scope="module")
def plan():
    rng = np.random.default_rng(3)
    tensor = float_tensor("x", rng.standard_normal((OUTPUTS, INPUTS)).astype(np.float32)).as_matrix()
    plan = _native.Plan(1, 1, OUTPUTS)
    source, result = plan.buffer("fp32", INPUTS), plan.buffer("fp32", OUTPUTS)
    plan.source(source)
    described = {"type": "fp32", "shape": (OUTPUTS, INPUTS), "codes": tensor.codes, "scales": None}
    plan.linear([{**described, "zero_points": None, "sums": None, "bias": None}], source, result)
    plan.result(result)
    plan.finish()
    return plan


@pytest.fixture
def fake(tmp_path):
    return Fake(tmp_path)


def placed(folder, plan):
    device = _native.DeviceRegistry(str(folder)).open("cuda")
    return _native.DevicePlan(plan, _native.DeviceWeights(device), _native.CachingAllocator(device))


def rows():
    return np.random.default_rng(4).standard_normal((3, INPUTS)).astype(np.float32)


@pytest.mark.parametrize("flags", [0, 1])  # with memory of its own, and sharing the host's
def test_what_arrives_is_what_was_sent(fake, tmp_path, plan, flags):
    fake.set(flags=flags)
    there = placed(tmp_path, plan)
    assert fake.live().get("pinned", 0) == 0  # given back once all is there
    np.testing.assert_array_equal(there.run_rows(rows()), plan.run_rows(rows(), _native.ThreadPool(1)))


def test_pieces_are_on_their_way_at_once(fake, tmp_path, plan):
    size = OUTPUTS * INPUTS * 4
    took = {}
    for flags in (1, 0):  # straight, one copy behind the other; through the ring
        fake.set(flags=flags, rate=100_000_000)
        started = time.perf_counter()
        placed(tmp_path, plan)
        took[flags] = time.perf_counter() - started
    assert took[1] > 0.9 * size / 1e8
    assert took[0] < 0.6 * took[1]


def test_a_fault_on_the_way_leaves_nothing(fake, tmp_path, plan):
    placed(tmp_path, plan)
    fake.set()
    placed(tmp_path, plan)
    calls = fake.report()["calls"]
    assert calls > 15
    for call in range(1, calls + 1):
        for status in (1, 3):
            fake.set(at=call, status=status)
            try:
                there = placed(tmp_path, plan)
            except DeviceError as failure:
                failure.__traceback__ = None
            else:  # without pinned memory all goes the other way
                found = there.run_rows(rows())
                np.testing.assert_array_equal(found, plan.run_rows(rows(), _native.ThreadPool(1)))
                del there
            gc.collect()
            assert fake.live().keys() <= {"devices"}, (call, status)
