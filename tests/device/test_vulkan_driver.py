"""Vulkan drivers that are absent, old, without a device, or fail at any call; each in its own process."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from arrowmind.errors import DeviceUnsupportedError
from tests.device.fake import BACKENDS
from tests.device.machine import open_or_skip

PROBE = """
from arrowmind import _native
found = _native.DeviceRegistry().probe("vulkan")
print(found["availability"], found["words"], sep="|")
"""


@pytest.fixture(scope="module", autouse=True)
def _vulkan():
    open_or_skip("vulkan")


def run(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def faulty() -> dict[str, str]:
    """Settings that put the failing loader in place of the real one."""
    ctypes.CDLL("libvulkan.so.1")
    maps = Path("/proc/self/maps").read_text().splitlines()
    real = next(line.split()[-1] for line in maps if "libvulkan.so" in line)
    return {"LD_LIBRARY_PATH": str(BACKENDS / "faulty-vulkan"), "ARROWMIND_TEST_VULKAN": real}


def test_no_driver(tmp_path):
    (tmp_path / "libvulkan.so.1").write_bytes(b"")
    (tmp_path / "libvulkan.so").write_bytes(b"")
    availability, words = run("-c", PROBE, LD_LIBRARY_PATH=str(tmp_path)).split("|")
    assert availability == "no-driver"
    assert "install the Vulkan loader" in words


def test_a_driver_without_a_device(tmp_path):
    nothing = str(tmp_path / "none.json")
    availability, words = run("-c", PROBE, VK_ICD_FILENAMES=nothing, VK_DRIVER_FILES=nothing).split("|")
    assert availability == "no-device"
    assert "no driver of a device" in words


def test_an_old_driver():
    availability, words = run("-c", PROBE, **faulty(), ARROWMIND_TEST_OLD="1").split("|")
    assert availability == "driver-too-old"
    assert "1.0.0, and 1.1 is needed" in words


def test_more_than_a_kernel_can_be_given():
    """Drivers bind a part of a large buffer, and what is beyond reads as anything."""
    device = open_or_skip("vulkan")
    if not device.info()["is_software"]:
        pytest.skip("GPUs bind gigabytes; Mesa's driver for the CPU binds 128 MiB")
    buffer, stream = device.allocate((128 << 20) + 64), device.stream()
    with pytest.raises(DeviceUnsupportedError, match="bytes, and the device binds"):
        stream.launch_over("fill_u32", (1, 1, 1), [(buffer, 0)], struct.pack("<II", 1, 1))
    stream.launch_over("fill_u32", (1, 1, 1), [(buffer, 64)], struct.pack("<II", 1, 1))
    stream.synchronise()


def test_every_call_may_fail():
    """No run crashes, hangs, leaks or ends in a wrong result."""
    assert " runs, " in run("-m", "tests.device.vulkan_faults", **faulty())
