"""Images, sound and speech on the devices of this machine, beside the CPU; no fallback may hide a failure."""

from __future__ import annotations

import numpy as np
import pytest

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig
from arrowmind.config import Config, DeviceSettings
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.weights import convert_model
from tests.device.gpu_driver import Driver
from tests.device.machine import OWN_KINDS, open_or_skip
from tests.device.metal_driver import MetalDriver
from tests.reference import senses

pytest.importorskip("PIL.Image", reason="pip install 'arrowmind[media]'")
STRICT = Config(device=DeviceSettings(fallback="error"))
PICTURES = np.random.default_rng(5).integers(0, 256, (3, 70, 90, 3)).astype(np.uint8)
TEXTS = ["a cat on a mat", "", "x" * 100]
SOUNDS = [np.random.default_rng(n).normal(0, 0.1, 9_000 + 4_000 * n).astype(np.float32) for n in range(2)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("senses")
    for name, config, weights, tokens in (
        ("clip", senses.CLIP, senses.clip_weights(senses.CLIP, 5), senses.clip_tokens()),
        ("whisper", senses.WHISPER, senses.whisper_weights(senses.WHISPER, 5), senses.whisper_tokens()),
    ):
        senses.write(place / f"{name}-hf", config, weights, tokens)
        convert_model(place / f"{name}-hf", place / name)
        low = QuantizationConfig(calibration="ptq", cosine_mean=0.0, cosine_min=-1.0, overlap_at_10=0.0)
        ArrowQuantizer(low, texts=TEXTS).quantize(place / name, place / f"{name}-int8")
    return place


class Machine:
    """A kind of device, and what makes its threads go the other way round."""

    def __init__(self, kind, driver=None):
        self.kind, self.driver = kind, driver

    def engine(self, model):
        return ArrowEngine(model, device=self.kind, threads=2, config=STRICT)


@pytest.fixture(params=[*OWN_KINDS, "cuda on the host", "rocm on the host", "metal on the host"])
def machine(request, tmp_path, monkeypatch):
    if request.param in OWN_KINDS:
        open_or_skip(request.param)
        return Machine(request.param)
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    if request.param.startswith("metal"):
        return Machine("mps", MetalDriver(tmp_path))
    driver = Driver(tmp_path, "gpu_on_host" if request.param.startswith("cuda") else "hip_on_host")
    return Machine(driver.kind, driver)


def vectors(engine):
    """Of each sense that the model has, of length 1."""
    if "sound" in engine.info()["towers"]:
        return engine.encode_audio(SOUNDS, margin=0.2)
    return np.concatenate([engine.encode(TEXTS), engine.encode_image(PICTURES)])


@pytest.mark.parametrize("name", ["clip", "whisper"])
def test_floats_are_those_of_the_cpu_but_for_the_order_of_sums(machine, models, name):
    expected = vectors(ArrowEngine(models / name, device="cpu", threads=2))
    engine = machine.engine(models / name)
    found = vectors(engine)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert "linear_f32_f32" in engine.info()["kernels"]
    if machine.driver is not None:
        machine.driver.set(backward=1)
        np.testing.assert_array_equal(vectors(engine), found)


@pytest.mark.parametrize("name", ["clip-int8", "whisper-int8"])
def test_codes_are_those_of_the_cpu(machine, models, name):
    """To the bit, but for Vulkan and Metal, whose quotients may fall to the other side of a tie."""
    expected = vectors(ArrowEngine(models / name, device="cpu", threads=2))
    engine = machine.engine(models / name)
    found = vectors(engine)
    assert "linear_i8_i8" in engine.info()["kernels"]
    if machine.kind in ("cuda", "rocm"):
        np.testing.assert_array_equal(found, expected)
    assert (found * expected).sum(axis=1).min() > 0.999


@pytest.mark.parametrize("name", ["whisper", "whisper-int8"])
def test_speech_is_written_down_alike(machine, models, name):
    on_cpu, there = ArrowEngine(models / name, device="cpu", threads=2), machine.engine(models / name)
    for sound in SOUNDS:
        windows = on_cpu.perception.windows(sound, 0.2)
        states = on_cpu.perception.sound_states(windows)[0]
        prompt = [257, 258, 261, 262]
        expected = on_cpu.transcriber.ids(states, prompt, 8)
        assert there.transcriber.ids(states, prompt, 8) == expected
    assert there.transcribe(SOUNDS[0], language="en", margin=0.2) is not None
