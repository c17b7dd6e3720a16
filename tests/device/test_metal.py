"""The back end of Metal, its kernels as C++ over fibers; the syntax of what only a Mac compiles."""

from __future__ import annotations

import gc
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from arrowmind import ArrowEngine, ArrowQuantizer, QuantizationConfig, _native
from arrowmind.config import Config, DeviceSettings
from arrowmind.engine.device_probe import BACKENDS_VARIABLE
from arrowmind.errors import (
    DeviceError,
    DeviceLaunchError,
    DeviceLostError,
    DeviceMemoryError,
    DeviceUnsupportedError,
)
from arrowmind.weights import convert_model
from tests.device.metal_driver import MetalDriver
from tests.reference import folder

ROOT = Path(__file__).parents[2]
COUNT = 300
# Status of device/backend.h -> error.
FAILURES = {
    1: DeviceMemoryError,
    2: DeviceLaunchError,
    3: DeviceLostError,
    4: DeviceUnsupportedError,
    5: DeviceError,
}
TEXTS = ["the cat sat on the mat.", "", "a dog", "the dog ran far away, and back!", "cat " * 60]
STRICT = Config(device=DeviceSettings(fallback="error"))


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Fibers in place of Metal; a failure is an error, never the CPU's answer."""
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    made = MetalDriver(tmp_path)
    yield made
    made.set()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    convert_model(folder.write(path / "original", folder.weights()), path / "tiny")
    return path / "tiny"


def script(registry, driver):
    """Uses each function; gives the sum of two vectors, and how many calls could fail until then."""
    device = registry.open("mps")
    stream, other, event, later = device.stream(), device.stream(), device.event(), device.event()
    a, out = device.allocate(4 * COUNT), device.allocate(4 * COUNT)
    device.memory()
    stream.record(event)
    stream.copy_in(a, 0, np.full(COUNT, 3, np.float32).view(np.uint8))
    stream.launch(device.kernel("fill_u32"), 2, 256, [out], struct.pack("<II", COUNT, 0x40000000))
    stream.launch(device.kernel("add_f32"), 2, 256, [a, out, out], struct.pack("<I", COUNT))
    stream.record(later)
    other.wait(later)
    other.copy_within(a, 0, out, 0, 4 * COUNT)
    other.copy_within(a, 5, out, 5, 3)  # not of words
    result = np.zeros(COUNT, np.float32)
    other.copy_out(result.view(np.uint8), a, 0)
    stream.synchronise()
    other.synchronise()
    assert event.nanoseconds_until(later) >= 0
    return result, driver.report()["calls"]


@pytest.mark.parametrize("failure", FAILURES)
def test_every_call_may_fail(driver, tmp_path, failure):
    registry = _native.DeviceRegistry(str(tmp_path))
    gc.collect()
    idle = driver.live()
    result, calls = script(registry, driver)
    np.testing.assert_array_equal(result, np.float32(5))
    assert calls > 15
    for index in range(1, calls + 1):
        driver.set(call=index, failure=failure, sticky=1)
        with pytest.raises(FAILURES[failure], match=r"told to|by an earlier call"):
            script(registry, driver)
        gc.collect()
        assert driver.live() == idle, f"after a failure of call {index}"


def test_nothing_is_asked_of_a_lost_device(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open("mps")
    stream = device.stream()
    driver.set(call=1, failure=3)
    with pytest.raises(DeviceLostError):
        device.allocate(1)
    with pytest.raises(DeviceLostError, match="by an earlier call"):
        stream.synchronise()
    assert driver.report()["calls"] == 1


def test_what_the_probe_tells(driver, tmp_path):
    driver.set(devices=0)
    found = _native.DeviceRegistry(str(tmp_path)).probe("mps")
    assert (found["availability"], found["words"]) == ("no-device", "Metal knows of none")
    driver.set()
    (row,) = _native.DeviceRegistry(str(tmp_path)).probe("mps")["devices"]
    assert row["shares_host_memory"]
    assert row["name"] == "fibers"


def test_more_memory_than_there_is(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open("mps")
    held = device.allocate(900 << 20)
    with pytest.raises(DeviceMemoryError, match="no room for it"):
        device.allocate(200 << 20)
    assert device.memory() == ((1 << 30) - held.bytes, 1 << 30)


def test_launches_that_no_kernel_is_made_for(driver, tmp_path):
    device = _native.DeviceRegistry(str(tmp_path)).open("mps")
    stream, buffer = device.stream(), device.allocate(4096)
    with pytest.raises(DeviceLaunchError, match="another number of places or bytes of parameters"):
        stream.launch(device.kernel("fill_u32"), 1, 256, [buffer], b"1234")
    with pytest.raises(DeviceLaunchError, match="another group"):
        stream.launch(device.kernel("fill_u32"), 1, 32, [buffer], struct.pack("<II", 1, 1))


def encode(model, texts=TEXTS):
    return ArrowEngine(model, device="mps", threads=2, config=STRICT).encode(texts)


def test_floats_are_those_of_the_cpu_but_for_the_order_of_sums(driver, original):
    expected = ArrowEngine(original, device="cpu", threads=2).encode(TEXTS)
    np.testing.assert_allclose(encode(original), expected, atol=2e-6)


def test_no_result_depends_on_which_thread_goes_first(driver, original, tmp_path):
    config = QuantizationConfig(cosine_mean=0.5, cosine_min=0.5, overlap_at_10=0.0)
    ArrowQuantizer(config, texts=TEXTS).quantize(original, tmp_path / "int8")
    for model in (original, tmp_path / "int8"):
        driver.set()
        forward = encode(model)
        driver.set(backward=1)
        np.testing.assert_array_equal(encode(model), forward)


def test_minilm(driver, minilm_source, tmp_path):
    convert_model(minilm_source, tmp_path / "minilm")
    texts = ["The harbour was quiet.", "A dog.", "Sums may run in any order, " * 8]
    expected = ArrowEngine(tmp_path / "minilm", device="cpu").encode(texts)
    np.testing.assert_allclose(encode(tmp_path / "minilm", texts), expected, atol=1e-5)


def test_the_syntax_of_what_only_a_mac_compiles():
    """Against declarations of what it uses of Apple's frameworks."""
    compiler = shutil.which("clang++")
    if compiler is None:
        pytest.skip("no clang++")
    command = [compiler, "-x", "objective-c++", "-std=c++20", "-fobjc-arc", "-fblocks"]
    command += ["-fobjc-runtime=gnustep-2.0"]
    command += ["-fsyntax-only", "-Wall", "-Wextra", "-Wshadow", "-Werror", f"-I{ROOT / 'csrc'}"]
    command += ["-isystem", str(ROOT / "tests/device/metal_declared")]
    source = ROOT / "csrc/device/metal/driver.mm"
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
