"""Models on the kernels of CUDA and HIP, threads as fibers: the CPU's results, whoever goes first."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.config import Config, DeviceSettings
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.weights import convert_model
from tests.device.gpu_driver import Driver
from tests.reference import folder

TEXTS = ["the cat sat on the mat.", "", "a dog", "the dog ran far away, and back!", "cat " * 60]
STRICT = Config(device=DeviceSettings(fallback="error"))


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A device in place of cuda; a failure is an error, never the CPU's answer."""
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    made = Driver(tmp_path)
    yield made
    made.set()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


def encode(model, texts=TEXTS):
    return ArrowEngine(model, device="cuda", threads=2, config=STRICT).encode(texts)


def test_floats_are_those_of_the_cpu_but_for_the_order_of_sums(driver, original):
    expected = ArrowEngine(original, device="cpu", threads=2).encode(TEXTS)
    np.testing.assert_allclose(encode(original), expected, atol=2e-6)


@pytest.fixture(scope="module")
def int8(original, tmp_path_factory):
    path = tmp_path_factory.mktemp("quantised") / "int8"
    config = QuantizationConfig(cosine_mean=0.5, cosine_min=0.5, overlap_at_10=0.0)
    ArrowQuantizer(config, texts=TEXTS).quantize(original, path)
    return path


def test_integers_have_the_bits_of_the_cpu(driver, int8):
    expected = ArrowEngine(int8, device="cpu", threads=2).encode(TEXTS)
    np.testing.assert_array_equal(encode(int8), expected)


def test_no_result_depends_on_which_thread_goes_first(driver, original, int8):
    for model in (original, int8):
        driver.set()
        forward = encode(model)
        driver.set(backward=1)
        np.testing.assert_array_equal(encode(model), forward)


def test_a_shape_that_comes_again_runs_as_one(driver, int8):
    expected = ArrowEngine(int8, device="cpu", threads=2).encode(TEXTS)
    engine = ArrowEngine(int8, device="cuda", threads=2, config=STRICT)
    for _ in range(3):
        np.testing.assert_array_equal(engine.encode(TEXTS), expected)
    driver.set()
    np.testing.assert_array_equal(engine.encode(TEXTS), expected)
    told = driver.report()
    assert (told["launches"], told["graph_launches"]) == (0, 1)


@pytest.mark.slow
def test_minilm(driver, minilm_source, tmp_path):
    convert_model(minilm_source, tmp_path / "minilm")
    texts = ["The harbour was quiet.", "A dog.", "Sums may run in any order, " * 8]
    expected = ArrowEngine(tmp_path / "minilm", device="cpu").encode(texts)
    np.testing.assert_allclose(encode(tmp_path / "minilm", texts), expected, atol=2e-6)
