"""`device.precision = mixed`: what it changes, where it is told, and who says that it has no such thing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from arrowmind import ArrowEngine, _native
from arrowmind.bench.devices import matrices, products
from arrowmind.cli.main import run
from arrowmind.config import Config, DeviceSettings
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.errors import DeviceUnsupportedError
from arrowmind.observe import metrics
from arrowmind.weights import convert_model
from tests.device.fake import install
from tests.device.gpu_driver import Driver
from tests.device.machine import open_on_host
from tests.reference import folder

TEXTS = ["the cat sat on the mat.", "a dog", "the dog ran far away, and back!", "cat " * 60]
MIXED = Config(device=DeviceSettings(fallback="error", precision="mixed"))
EXACT = Config(device=DeviceSettings(fallback="error"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


@pytest.fixture
def driver(tmp_path, monkeypatch):
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    made = Driver(tmp_path)
    yield made
    made.set()


def opened(model, config, device="cuda"):
    return ArrowEngine(model, device=device, threads=2, config=config)


def test_vectors_are_near_those_of_float32_and_not_the_same(driver, model):
    engine = opened(model, MIXED)
    found, expected = engine.encode(TEXTS), opened(model, EXACT).encode(TEXTS)
    assert engine.info()["device_state"]["precision"] == "mixed"
    assert opened(model, EXACT).info()["device_state"]["precision"] == "float32"
    assert "linear_bf16_f32" in engine.info()["kernels"]
    cosines = (found * expected).sum(axis=1)
    assert (cosines > 0.9999).all()
    assert not np.array_equal(found, expected)
    driver.set(backward=1)
    np.testing.assert_array_equal(opened(model, MIXED).encode(TEXTS), found)


def test_a_model_is_held_against_itself_in_float32(driver, model, tmp_path, capsys):
    (tmp_path / "texts").write_text("\n".join(TEXTS[:3]))
    words = ["validate", str(model), str(model), "--texts", str(tmp_path / "texts"), "--json"]
    words += ["--set", "device.name=cuda"]
    found = []
    for precision in ("float32", "mixed"):
        assert run([*words, "--set", "device.fallback=error", "--set", f"device.precision={precision}"]) == 0
        found.append(json.loads(capsys.readouterr().out)["cosine_mean"])
    exact, mixed = found
    assert exact == pytest.approx(1, abs=1e-7)
    assert 1e-7 < 1 - mixed < 1e-4


def test_few_rows_are_multiplied_as_float32(driver, model):
    np.testing.assert_array_equal(opened(model, MIXED).encode(["a"]), opened(model, EXACT).encode(["a"]))


def told():
    return metrics.fallback_events.values().get(("precision", "the device has no kernels for mixed"), 0)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_who_has_no_such_kernels_says_so(model, tmp_path, monkeypatch, device):
    """A device that computes in float32 alone, and the CPU: logged and counted, or refused."""
    install("fake", tmp_path, "cuda")
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    with pytest.raises(DeviceUnsupportedError, match=r"has no kernels for device\.precision=mixed"):
        opened(model, MIXED, device)
    name = device if device == "cpu" else "cuda:0"
    before = told()
    falls_back = replace(MIXED, device=replace(MIXED.device, fallback="cpu"))
    engine = opened(model, falls_back, device)
    assert (engine.device, told() - before) == (name, 1)
    if device != "cpu":
        assert engine.info()["device_state"]["precision"] == "float32"
    np.testing.assert_array_equal(engine.encode(TEXTS), opened(model, EXACT, device).encode(TEXTS))


def test_much_work_goes_to_large_tiles(tmp_path):
    """128 groups of them or more."""
    device = open_on_host("gpu_on_host", tmp_path)
    for outputs, kernel in ((128 * 256, "linear_bf16_bf16_wide"), (127 * 256, "linear_bf16_bf16")):
        tensor = matrices.random_matrix("bf16", (outputs, 16))
        plan = matrices.plan_of(tensor, (outputs, 16), 1)
        weights, memory = _native.DeviceWeights(device), _native.CachingAllocator(device)
        placed = _native.DevicePlan(plan, weights, memory, mixed=True)
        x = np.random.default_rng(0).standard_normal((9, 16)).astype(np.float32)
        assert [name for name, _ in placed.time_rows(x) if name.startswith("linear_")] == [kernel]
        expected = plan.run_rows(x, _native.ThreadPool(2))
        np.testing.assert_allclose(placed.run_rows(x), expected, atol=2e-2 * np.abs(expected).max(), rtol=0)


def test_the_bench_times_both_precisions(tmp_path):
    """Each against the CPU, where they differ."""
    device = open_on_host("gpu_on_host", tmp_path)
    found, absent = products.measure_products(
        device, [(64, 32)], [1, 9], ["int8", "int8-int8"], 1e9, 0, tensor=1e12
    )
    assert [(one.rows, one.precision, one.kernel) for one in found] == [
        (1, "float32", "linear_f32_i8_few"),
        (1, "mixed", "linear_f32_i8_few"),
        (9, "float32", "linear_f32_i8"),
        (9, "mixed", "linear_bf16_i8"),
        (1, "int8", "linear_i8_i8_few"),
        (9, "int8", "linear_i8_i8"),
    ]
    assert absent == []
