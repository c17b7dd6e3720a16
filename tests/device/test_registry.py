"""Which back ends are found, which are refused, and in what words; none of them ends the process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arrowmind import _native
from arrowmind.errors import DeviceError, InvalidArgumentError
from tests.device.fake import install

KINDS = ("cuda", "rocm", "vulkan", "mps")
# Back end -> words of its refusal.
REFUSED = {
    "no_entry": "it has no function arrowmind_device_backend",
    "null_table": "it does not speak version 1",
    "wrong_version": "it speaks version 999 of the device interface, this core 1",
    "short_table": "its table has 16 bytes",
    "null_function": "its function 'launch' is missing",
    "no_release": "its function 'release_pinned' is missing",
    "throwing_entry": "it threw an exception",
    "missing_symbol": "arrowmind_of_a_library_that_is_not_there",
}
FAILING = {
    "failing_probe": "?" * 248,
    "throwing_probe": "the back end threw an exception",
    "endless_probe": "the back end tells of 2147483647 devices",
    "failing_describe": "[cuda:0] describe: lost ()",
}


def test_the_cpu_is_always_there(registry):
    found = registry.probe("cpu")
    assert (found["availability"], found["words"], len(found["devices"])) == ("usable", "", 1)
    assert found["devices"][0]["name"] == _native.cpu_brand()
    assert registry.open("cpu", 0).name == "cpu:0"
    assert list(_native.DEVICE_KINDS) == [*KINDS, "cpu"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_absent_back_end(registry, kind):
    found = registry.probe(kind)
    assert found["availability"] == "not-built"
    assert found["words"] == f"arrowmind_device_{kind}.so is not in {registry.folder}"
    with pytest.raises(DeviceError, match=rf"\[{kind}\] not-built: arrowmind_device_{kind}\.so is not in"):
        registry.open(kind, 0)


def test_the_folder_is_that_of_the_native_core():
    assert Path(_native.DeviceRegistry().folder).samefile(Path(_native.__file__).parent)


def test_a_back_end_may_come_later(registry, tmp_path):
    assert registry.probe("rocm")["availability"] == "not-built"
    install("fake", tmp_path, "rocm")
    assert registry.probe("rocm")["availability"] == "usable"


@pytest.mark.parametrize("kind", ["gpu", "", "../cuda", "cuda:0", "x" * 10_000, "\x1b"])
def test_a_kind_nobody_knows(registry, kind):
    with pytest.raises(InvalidArgumentError, match="is unknown"):
        registry.probe(kind)


def test_devices_have_indices(fake, registry):
    fake.set(devices=3)
    assert [row["name"] for row in registry.probe("cuda")["devices"]] == ["fake 0", "fake 1", "fake 2"]
    assert registry.open("cuda", 2).name == "cuda:2"
    for index in (3, -1, 2**31 - 1):
        with pytest.raises(DeviceError, match=f"no device {index}; there are 3, from cuda:0 on"):
            registry.open("cuda", index)


@pytest.mark.parametrize(
    ("probe", "availability"),
    [(1, "no-driver"), (2, "no-device"), (3, "driver-too-old"), (4, "probe-failed"), (-1, "probe-failed")],
)
def test_why_a_back_end_has_none(fake, registry, probe, availability):
    fake.set(probe=probe)
    found = registry.probe("cuda")
    assert (found["availability"], found["devices"]) == (availability, [])
    assert found["words"].startswith("fake: told to have none")
    with pytest.raises(DeviceError, match=rf"\[cuda\] {availability}: fake: told to have none"):
        registry.open("cuda", 0)


def test_a_driver_without_a_device(fake, registry):
    fake.set(devices=0)
    assert registry.probe("cuda")["availability"] == "no-device"


@pytest.mark.parametrize("backend", REFUSED)
def test_back_ends_that_are_refused(registry, tmp_path, backend):
    install(backend, tmp_path)
    found = registry.probe("cuda")
    assert found["availability"] == "broken"
    assert REFUSED[backend] in found["words"]
    with pytest.raises(DeviceError, match="broken"):
        registry.open("cuda", 0)


def test_a_back_end_that_can_more_than_the_core_knows_of(registry, tmp_path):
    install("later_table", tmp_path)
    assert registry.open("cuda", 0).pinned(16).bytes == 16


@pytest.mark.parametrize("backend", FAILING)
def test_probes_that_fail(registry, tmp_path, backend):
    install(backend, tmp_path)
    found = registry.probe("cuda")
    assert (found["availability"], found["words"]) == ("probe-failed", FAILING[backend])


def test_texts_without_an_end(registry, tmp_path):
    install("wild_describe", tmp_path)
    row = registry.probe("cuda")["devices"][0]
    assert row == {
        "name": "?" * 128,
        "driver": "?" * 64,
        "architecture": "?" * 32,
        "total_bytes": 0,
        "alignment_bytes": 1,
        "most_place_bytes": 0,
        "shares_host_memory": True,
        "is_software": True,
    }


@pytest.mark.parametrize("backend", ["empty_open", "empty_allocate", "throwing_allocate"])
def test_answers_that_are_none(registry, tmp_path, backend):
    install(backend, tmp_path)
    with pytest.raises(DeviceError, match=r"gave no|threw an exception"):
        registry.open("cuda", 0).allocate(16)


@pytest.mark.parametrize("backend", ["no_options", "earlier_table"])
def test_what_a_back_end_may_leave_out(registry, tmp_path, backend):
    install(backend, tmp_path)
    device = registry.open("cuda", 0)
    with pytest.raises(DeviceError, match="pin 16 bytes: not supported"):
        device.pinned(16)
    with pytest.raises(DeviceError, match="register 16 bytes 'host memory': not supported"):
        device.register_host(memoryview(bytes(16)))


def test_a_truncated_file_wherever_it_ends(tmp_path):
    path = install("fake", tmp_path)
    whole = path.read_bytes()
    sizes = {0, 1, 4, 63, 64, 65, 119, 120, 500, 4095, 4096, 4097, *range(0, len(whole), len(whole) // 40)}
    found = []
    for size in sorted(sizes):
        path.unlink()
        path.write_bytes(whole[:size])
        found.append(_native.DeviceRegistry(str(tmp_path)).probe("cuda")["availability"])
    # At the end lies what debuggers read, and no part of the program.
    assert found == sorted(found)
    assert set(found) == {"broken", "usable"}
    assert found.count("broken") > len(sizes) / 2


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 5000, b"\x7fELF" + b"\xff" * 5000, b"#!/bin/sh\n", b"!<arch>\n"]
)
def test_files_that_are_no_back_end(registry, tmp_path, content):
    (tmp_path / "arrowmind_device_vulkan.so").write_bytes(content)
    assert registry.probe("vulkan")["availability"] == "broken"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_things_that_are_no_file(registry, tmp_path, make):
    make(tmp_path / "arrowmind_device_mps.so")
    assert registry.probe("mps")["availability"] in ("broken", "not-built")
