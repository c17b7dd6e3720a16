"""Encoders on the devices of this machine, beside the CPU; no fallback may hide a failure."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.config import Config, DeviceSettings
from arrowmind.weights import convert_model
from tests.device.machine import OWN_KINDS, open_or_skip
from tests.reference import folder

TEXTS = ["the cat sat on the mat.", "a dog, and many people listen to it", "", "dogs", "cat " * 60]
STRICT = Config(device=DeviceSettings(fallback="error"))
LOW = {"cosine_mean": 0.0, "cosine_min": -1.0, "overlap_at_10": 0.0}


@pytest.fixture(scope="module")
def minilm(minilm_source, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "minilm"
    convert_model(minilm_source, path)
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


@pytest.fixture(scope="module", params=OWN_KINDS)
def kind(request):
    open_or_skip(request.param)
    return request.param


def quantised(model, path, **options):
    ArrowQuantizer(QuantizationConfig(calibration="ptq", activation="int8", **LOW, **options)).quantize(
        model, path
    )
    return path


def both(model, kind):
    """Embeddings on the CPU and on the device, and what the device ran."""
    engine = ArrowEngine(model, device=kind, config=STRICT)
    assert engine.info()["device"] == f"{kind}:0"
    return ArrowEngine(model, device="cpu").encode(TEXTS), engine.encode(TEXTS), engine.info()["kernels"]


def test_minilm_in_floats(minilm, kind):
    on_cpu, on_device, kernels = both(minilm, kind)
    assert "linear_f32_f32" in kernels
    # Six layers of float32 sums in another order.
    np.testing.assert_allclose(on_device, on_cpu, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quant_type", "kernel", "least"),
    [("int8", "linear_i8_i8", 0.999), ("int4", "linear_i8b_i4g", 0.999), ("int2", "linear_i8b_i2g", 0.995)],
)
def test_minilm_in_codes(minilm, kind, tmp_path, quant_type, kernel, least):
    """Codes of activations may fall to the other side of a tie, which moves results by what codes round."""
    on_cpu, on_device, kernels = both(quantised(minilm, tmp_path / "codes", quant_type=quant_type), kind)
    assert kernel in kernels
    assert (on_cpu * on_device).sum(axis=1).min() > least


@pytest.mark.parametrize("quant_type", ["int8", "int4", "int2", "fp4", "trellis2", "trellis3"])
def test_a_small_encoder_in_codes(tiny, kind, tmp_path, quant_type):
    on_cpu, on_device, kernels = both(quantised(tiny, tmp_path / "codes", quant_type=quant_type), kind)
    assert any(kernel.startswith("linear_i8") for kernel in kernels)
    assert (on_cpu * on_device).sum(axis=1).min() > 0.995
