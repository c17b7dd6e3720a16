"""Products by warpgroups in plans: where they are taken, and what a device does that has them wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from arrowmind import _native
from arrowmind.bench.devices import matrices
from arrowmind.cli.main import run
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.engine.opened_device import OpenedDevice
from arrowmind.errors import DeviceLostError, DeviceMemoryError, DeviceUnsupportedError, InvalidArgumentError
from arrowmind.observe import metrics
from tests.device.gpu_driver import Driver
from tests.kernels.rows import SEED, assert_same_bits

KINDS = ("f32", "f16", "bf16", "i8", "i8g", "i4g", "i2g", "fp4g", "t2g", "t3g")
WEIGHTS = {"int8": "i8", "int4": "i4g"}
ROWS, OUTPUTS, DEPTH = 130, 64 * 256, 40
LOST = 719


@pytest.fixture
def driver(tmp_path, monkeypatch):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    made = Driver(tmp_path)
    yield made
    made.set()


def opened(folder):
    return _native.DeviceRegistry(str(folder)).open("cuda")


def plan_of(width="bf16", outputs=OUTPUTS, depth=DEPTH):
    return matrices.plan_of(matrices.random_matrix(width, (outputs, depth)), (outputs, depth), 1)


def placed(device, plan, **options):
    weights, memory = _native.DeviceWeights(device), _native.CachingAllocator(device)
    return _native.DevicePlan(plan, weights, memory, mixed=True, **options)


def rows_of(count, depth=DEPTH):
    return np.random.default_rng(SEED).standard_normal((count, depth)).astype(np.float32)


def kernels_of(plan, rows):
    return [name for name, _ in plan.time_rows(rows) if name.startswith("linear_")]


@pytest.mark.parametrize("width", WEIGHTS)
def test_large_products_run_by_warpgroups(driver, tmp_path, width):
    """With the results of the tiles that they take the place of, but for the order of sums; and in any order
    of threads, and as graphs, the same ones."""
    device, depth = opened(tmp_path), 64 if width == "int4" else DEPTH
    plan, x = plan_of(width, depth=depth), rows_of(ROWS, depth)
    by_groups = placed(device, plan, graphs="check")
    assert (by_groups.has_wgmma, by_groups.left_out) == (True, {})
    assert kernels_of(by_groups, x) == [f"linear_bf16_{WEIGHTS[width]}_wgmma"]
    found = by_groups.run_rows(x)
    without = placed(device, plan, wgmma=False)
    assert not without.has_wgmma
    assert kernels_of(without, x) == [f"linear_bf16_{WEIGHTS[width]}_wide"]
    expected = without.run_rows(x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    driver.set(backward=1)
    for _ in range(3):
        assert_same_bits(by_groups.run_rows(x), found)
    assert by_groups.graph_counters()["runs"] > 0


@pytest.mark.parametrize(
    ("rows", "outputs", "kernel"),
    [(127, 128 * 256, "_wide"), (128, 128 * 256, "_wgmma"), (128, 127 * 256, ""), (2200, 7 * 256, "")],
)
def test_what_is_no_large_product(driver, tmp_path, rows, outputs, kernel):
    """Fewer rows than a tile, groups than fill a card, outputs than are worth rounding rows for."""
    made = placed(opened(tmp_path), plan_of(outputs=outputs, depth=16))
    assert kernels_of(made, rows_of(rows, 16)) == [f"linear_bf16_bf16{kernel}"]
    assert made.has_wgmma == (outputs >= 2048)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_passes_for_every_kind_of_weights(driver, tmp_path, kind):
    assert opened(tmp_path).try_wgmma(f"linear_bf16_{kind}_wgmma") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_tells_a_device_that_has_other_products(driver, tmp_path, kind):
    driver.set(misread=1)
    words = opened(tmp_path).try_wgmma(f"linear_bf16_{kind}_wgmma")
    assert "results of a trial are not those of mma.sync, first of row 0 and output" in words


def test_a_trial_is_of_known_kernels(driver, tmp_path):
    with pytest.raises((InvalidArgumentError, DeviceUnsupportedError)):
        opened(tmp_path).try_wgmma("linear_bf16_i8")


@pytest.mark.parametrize("major", [8, 10])
def test_only_one_generation_has_them(driver, tmp_path, major):
    driver.set(major=major)
    device = opened(tmp_path)
    with pytest.raises(DeviceUnsupportedError, match=r"only devices of compute capability 9\.0"):
        device.try_wgmma("linear_bf16_i8_wgmma")
    made = placed(device, plan_of())
    assert (made.has_wgmma, made.left_out) == (False, {})
    assert kernels_of(made, rows_of(ROWS)) == ["linear_bf16_bf16_wide"]


def told():
    return metrics.fallback_events.values().get(
        ("wgmma", "a trial found other results than those of mma.sync"), 0
    )


def test_a_device_that_has_them_wrong_does_without(driver, tmp_path):
    driver.set(misread=1)
    before, host = told(), OpenedDevice("cuda:0", 0, mixed=True)
    plan, x = plan_of(), rows_of(ROWS)
    made = host.plan(plan, None)
    assert kernels_of(made, x) == ["linear_bf16_bf16_wide"]
    assert host.wgmma().startswith("left out: linear_bf16_bf16_wgmma: ")
    host.plan(plan_of(), None)
    assert told() - before == 1
    driver.set()
    assert_same_bits(made.run_rows(x), placed(opened(tmp_path), plan, wgmma=False).run_rows(x))


def test_they_can_be_switched_off(driver):
    plan = plan_of()
    states = []
    for wgmma in ("auto", "off"):
        host = OpenedDevice("cuda:0", 0, mixed=True, wgmma=wgmma)
        states.append(host.wgmma())
        host.plan(plan, None)
        states.append(host.wgmma())
    assert states == ["none", "used", "off", "off"]


def test_a_device_that_is_lost_in_a_trial_is_not_tried_again(driver, tmp_path):
    plan, x = plan_of(), rows_of(ROWS)
    device = opened(tmp_path)
    driver.set(launch=LOST)
    with pytest.raises(DeviceLostError):
        placed(device, plan)
    driver.set()
    made = placed(opened(tmp_path), plan)
    (words,) = made.left_out.values()
    assert words.startswith("the device failed in a trial: ")
    assert kernels_of(made, x) == ["linear_bf16_bf16_wide"]


def test_a_trial_without_memory_is_done_later(driver, tmp_path):
    device, plan = opened(tmp_path), plan_of()
    driver.set(memory=1 << 16)
    with pytest.raises(DeviceMemoryError):
        placed(device, plan)
    driver.set()
    assert placed(device, plan).has_wgmma


@pytest.mark.parametrize(
    ("settings", "wrong", "status", "words"),
    [
        ([], 0, "ok", "a trial of 10 kernels found the results of mma.sync"),
        ([], 1, "note", "left out for 10 of 10 kinds of weights: linear_bf16_f32_wgmma: "),
        (["device.wgmma=off"], 1, "ok", "switched off by device.wgmma"),
    ],
)
def test_the_doctor_tries_them(driver, capsys, settings, wrong, status, words):
    driver.set(misread=wrong)
    given = [word for one in ("device.precision=mixed", *settings) for word in ("--set", one)]
    run(["doctor", "--json", *given])
    found = json.loads(capsys.readouterr().out)
    rows = [one for one in found["findings"] if one["name"] == "cuda:0 wgmma"]
    assert [(one["status"], one["text"][: len(words)]) for one in rows] == [(status, words)]


def test_the_doctor_opens_no_device_for_float32(driver, capsys):
    run(["doctor", "--json"])
    assert "cuda:0 wgmma" not in capsys.readouterr().out
    assert driver.report()["contexts"] == 0
