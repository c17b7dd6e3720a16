from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
from tests.device.fake import Fake, install

from arrowmind.cli import diagnosis, drivers
from arrowmind.cli.diagnosis import OPTIONAL, REQUIRED
from arrowmind.engine.device_probe import BACKENDS_VARIABLE

native = pytest.importorskip("arrowmind._native")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def findings(outcome, room):
    return {row["name"]: row for row in outcome.json["findings"] if row["room"] == room}


def test_all_is_well_here(call):
    outcome = call("doctor", "--json")
    assert outcome.code == 0, outcome.stdout
    assert outcome.json["healthy"]
    rooms = {row["room"] for row in outcome.json["findings"]}
    assert rooms == {
        *(
            "versions",
            "processor",
            "device",
            "devices",
            "kernels",
            "memory",
            "disk",
            "packages",
            "configuration",
            "contents",
        ),
    }
    assert native.cpu_brand() in findings(outcome, "processor")["name"]["text"]


def test_memory_of_a_device_that_is_not_there_is_noted(call):
    done = call("doctor", "--set", "device.vram=4GiB", "--set", "device.name=cpu")
    assert "there is no device whose memory" in done.stdout


def test_every_op_has_a_chosen_kernel(call):
    rows = [row for row in call("doctor", "--json").json["findings"] if row["room"] == "kernels"]
    assert {row["name"] for row in rows} == {row["op"] for row in native.kernels()}
    chosen = [row["name"] for row in native.kernels() if row["chosen"]]
    assert [row["text"].split()[0] for row in rows] == sorted(
        chosen, key=[row["text"].split()[0] for row in rows].index
    )


def test_the_forced_kernel_is_the_chosen_one(call):
    name = next(row["name"] for row in native.kernels() if row["isa"] == "scalar")
    rows = call("doctor", "--json", "--set", f"device.kernel={name}").json["findings"]
    assert any(row["text"].startswith(name) for row in rows if row["room"] == "kernels")


def test_lowered_instruction_sets_are_noted(shell):
    outcome = shell("doctor", "--json", env={"ARROWMIND_MAX_ISA": "scalar"})
    assert findings(outcome, "processor")["instruction sets"]["text"] == "scalar"
    assert all("_scalar" in row["text"] for row in findings(outcome, "kernels").values())


@pytest.mark.parametrize(
    ("env", "room", "part"),
    [
        ({"ARROWMIND_MAX_ISA": "avx3"}, "configuration", "device.max_isa"),
        ({"ARROWMIND_KERNEL": "nothing"}, "kernels", "no kernel is called 'nothing'"),
        ({"ARROWMIND_DEVICE_THREADS": "x"}, "configuration", "device.threads"),
        ({"ARROWMIND_CONFIG": "/missing.yaml"}, "configuration", "missing.yaml"),
    ],
)
def test_bad_settings_are_found(shell, env, room, part):
    outcome = shell("doctor", "--json", env=env)
    assert outcome.code == 1
    bad = [row for row in outcome.json["findings"] if row["status"] == "bad"]
    assert any(row["room"] == room and part in row["text"] for row in bad)


def test_a_device_that_is_not_there(call):
    assert findings(call("doctor", "--json"), "device")["auto"]["text"].startswith("cpu; ")
    options = ["doctor", "--json", "--set", "device.name=cuda"]
    assert findings(call(*options), "device")["cuda"]["status"] == "note"
    outcome = call(*options, "--set", "device.fallback=error")
    assert (outcome.code, findings(outcome, "device")["cuda"]["status"]) == (1, "bad")


def test_every_kind_of_device_is_listed(call, tmp_path, monkeypatch):
    folder = tmp_path / "backends"
    folder.mkdir()
    monkeypatch.setenv(BACKENDS_VARIABLE, str(folder))
    Fake(folder, "cuda").set(devices=2)
    Fake(folder, "rocm").set(probe=3)
    install("wrong_version", folder, "vulkan")
    monkeypatch.setattr(diagnosis, "driver_of", lambda kind: "Metal 3" if kind == "mps" else "")
    found = findings(call("doctor", "--json"), "devices")
    assert list(found) == ["cuda:0", "cuda:1", "rocm", "vulkan", "mps", "cpu:0"]
    assert found["cuda:1"]["text"] == "fake 1, 1.1 GB, driver 0.1"
    assert "its driver is too old (fake: told to have none" in found["rocm"]["text"]
    assert found["rocm"]["remedy"] == "update the driver of the device"
    assert "it speaks version 999" in found["vulkan"]["text"]
    assert "the system has a driver: Metal 3" in found["mps"]["text"]
    assert [row["status"] for row in found.values()] == ["ok", "ok", *["note"] * 3, "ok"]


def test_drivers_of_the_system(tmp_path, monkeypatch):
    version = tmp_path / "version"
    version.write_text("NVRM version:   1.2\nGCC version: 3\n")
    monkeypatch.setattr(drivers, "_NVIDIA", version)
    monkeypatch.setattr(drivers, "_AMD", (tmp_path / "none", tmp_path))
    monkeypatch.setattr(drivers, "_VULKAN", (tmp_path, tmp_path / "none"))
    (tmp_path / "lvp_icd.json").write_text("{}")
    assert drivers.driver_of("cuda") == "NVRM version: 1.2"
    assert drivers.driver_of("rocm") == f"{tmp_path} is there"
    assert drivers.driver_of("vulkan") == "lvp_icd"
    version.unlink()
    assert drivers.driver_of("cuda") == ""


def test_a_missing_native_core_is_found(shell):
    code = (
        "import sys; sys.modules['arrowmind._native'] = None\n"
        "from arrowmind.cli import main; sys.exit(main())"
    )
    outcome = shell("doctor", "--json", code=code)
    assert outcome.code == 1
    bad = {row["room"]: row["text"] for row in outcome.json["findings"] if row["status"] == "bad"}
    assert set(bad) == {"processor", "device", "devices", "kernels"}
    assert "pip install ." in bad["kernels"]


def test_missing_and_old_packages(call, monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name in ("pyarrow", "torch"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0" if name == "numpy" else real(name)

    monkeypatch.setattr(diagnosis.importlib.metadata, "version", version)
    outcome = call("doctor", "--json")
    packages = findings(outcome, "packages")
    assert outcome.code == 1
    assert packages["pyarrow"]["remedy"] == "pip install 'pyarrow>=24'"
    assert "older than 1.26" in packages["numpy"]["text"]
    assert (packages["torch"]["status"], packages["torch"]["remedy"]) == (
        "note",
        "pip install 'arrowmind[torch]'",
    )


def test_the_tables_are_those_of_the_project_file():
    text = PYPROJECT.read_text()
    required = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S).group(1)
    assert dict(re.findall(r'"([\w-]+)>=([\d.]+)(?:,<[\d.]+)?"', required)) == REQUIRED
    for name, (extra, _) in OPTIONAL.items():
        line = re.search(rf"^{extra} = \[(.*)\]", text, re.M).group(1)
        assert re.search(rf'"{name}[>=]=', line)


def test_as_text(call):
    outcome = call("doctor")
    assert "\nkernels\n" in outcome.stdout
    assert outcome.stdout.endswith("All is well.\n")
    assert all(line == line.rstrip() for line in outcome.stdout.splitlines())
