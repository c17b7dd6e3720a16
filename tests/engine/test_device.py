"""Which device runs a model, and what is said where it cannot be had."""

from __future__ import annotations

import platform

import pytest
from tests.device.fake import Fake, install

from arrowmind.engine import device
from arrowmind.engine.device import DEVICES, describe_device, resolve_device
from arrowmind.engine.device_probe import BACKENDS_VARIABLE, probe
from arrowmind.errors import DeviceError, InvalidArgumentError
from arrowmind.observe import metrics


@pytest.fixture
def backends(tmp_path, monkeypatch):
    """The folder of back ends, empty at first."""
    monkeypatch.setenv(BACKENDS_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def cuda(backends):
    fake = Fake(backends)
    fake.set(devices=2)
    return fake


def test_the_order_of_preference():
    assert DEVICES == ("cuda", "rocm", "vulkan", "mps", "cpu")


@pytest.mark.parametrize(("requested", "found"), [("auto", "cpu"), ("cpu", "cpu"), ("cpu:0", "cpu")])
def test_the_cpu(backends, requested, found):
    assert resolve_device(requested) == found


def test_auto_loads_no_vulkan_where_there_is_no_gpu(backends, monkeypatch):
    Fake(backends, "vulkan")
    monkeypatch.setattr(device, "_shows_graphics", lambda: False)
    assert resolve_device("auto") == "cpu"
    monkeypatch.setattr(device, "_shows_graphics", lambda: True)
    assert resolve_device("auto") == "vulkan:0"


def test_auto_takes_the_first_with_memory_of_its_own(backends, cuda, monkeypatch):
    monkeypatch.setattr(device, "_shows_graphics", lambda: True)
    vulkan = Fake(backends, "vulkan")
    assert resolve_device("auto") == "cuda:0"
    cuda.set(devices=0)
    assert resolve_device("auto") == "vulkan:0"
    for flags in (1, 2, 3):  # shares the machine's memory, computes on the cpu
        vulkan.set(flags=flags)
        assert resolve_device("auto") == "cpu"
        assert resolve_device("vulkan") == "vulkan:0"
    Fake(backends, "mps").set(flags=1)
    assert resolve_device("auto") == "mps:0"


def test_an_index(cuda):
    assert resolve_device("cuda") == "cuda:0"
    assert resolve_device("cuda:1") == "cuda:1"
    assert describe_device("cuda:1")["name"] == "fake 1"
    assert describe_device("cuda:2") == {}


@pytest.mark.parametrize(
    ("requested", "reason"),
    [
        ("cuda:2", r"there is no device 2 of this kind \(the last one is cuda:1\)"),
        ("cuda:9999", "there is no device 9999 of this kind"),
        ("cpu:1", r"there is no device 1 of this kind \(the last one is cpu:0\)"),
        ("rocm", r"no back end for it \(arrowmind_device_rocm\.so is not in .*; the cpu runs every model\)"),
        ("mps:1", "this build has no back end for it"),
    ],
)
def test_what_cannot_be_had(cuda, requested, reason):
    with pytest.raises(DeviceError, match=rf"device '{requested}' cannot be had: .*{reason}"):
        resolve_device(requested)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (1, "its driver is not installed"),
        (2, "its driver knows of no device"),
        (3, "its driver is too old"),
        (4, "its driver does not answer as it should"),
    ],
)
def test_the_reason_is_that_of_the_driver(cuda, answer, reason):
    cuda.set(probe=answer)
    with pytest.raises(DeviceError, match=rf"{reason} \(fake: told to have none, call 0; \w+"):
        resolve_device("cuda")


@pytest.mark.parametrize("requested", ["cuda", "cuda:7", "vulkan", "cpu:1"])
def test_a_fallback_is_logged_and_counted(cuda, caplog, requested):
    cuda.set(devices=0)
    before = sum(metrics.fallback_events.values().values())
    assert resolve_device(requested, fallback=True) == "cpu"
    assert sum(metrics.fallback_events.values().values()) == before + 1
    assert f"{requested}: " in caplog.text


@pytest.mark.parametrize(
    "requested",
    ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1:2", "auto:0", "arm:0", "CUDA", " cuda", "cuda:12345"],
)
def test_what_nobody_knows_never_falls_back(requested):
    with pytest.raises(DeviceError, match="is unknown; use one of auto, cuda"):
        resolve_device(requested, fallback=True)


def test_arm_is_the_cpu_of_an_arm_machine(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert resolve_device("arm") == "cpu"
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(DeviceError, match="this machine is x86_64"):
        resolve_device("arm")


def test_a_broken_back_end_is_a_reason(backends):
    install("wrong_version", backends, "rocm")
    found = probe("rocm")
    assert (found.devices, found.reason, found.is_built) == ((), "its back end cannot be used", True)
    assert "it speaks version 999" in found.words
    assert "install ArrowMind again" in found.remedy
    assert resolve_device("auto") == "cpu"
    with pytest.raises(InvalidArgumentError, match="unknown"):
        probe("gpu")
