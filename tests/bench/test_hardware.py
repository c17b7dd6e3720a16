"""The record of the machine a result was measured on."""

from __future__ import annotations

import json
import os
import re

from arrowmind import _native
from arrowmind.bench import hardware


def test_the_record_is_json_and_says_what_a_number_depends_on(monkeypatch):
    monkeypatch.setenv("ARROWMIND_NOTE", "seen")
    monkeypatch.setenv("SECRET_TOKEN", "not seen")
    monkeypatch.setenv("ARROWMIND_KEY", "not seen")
    record = json.loads(json.dumps(hardware.hardware_record()))
    assert record["cpu"] == _native.cpu_brand()
    assert record["cpus"] >= 1
    assert "scalar" in record["isas"]
    assert record["memory_bytes"] > 1 << 28
    assert record["packages"]["numpy"]
    assert record["environment"]["ARROWMIND_NOTE"] == "seen"
    assert "not seen" not in record["environment"].values()
    assert all(name.startswith("ARROWMIND_") for name in record["environment"])


def test_the_commit_says_when_files_differ(monkeypatch, tmp_path):
    def git(*words):
        names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        hardware.subprocess.run(["git", *names, *words], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(hardware, "__file__", str(tmp_path / "hardware.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.path.dirname(tmp_path))  # noqa: PTH120
    assert hardware.hardware_record()["commit"] is None
    (tmp_path / "a").write_text("1")
    git("init")
    git("add", "a")
    git("commit", "--message", "one")
    assert re.fullmatch("[0-9a-f]{12}", hardware.hardware_record()["commit"])
    (tmp_path / "a").write_text("2")
    assert re.fullmatch(r"[0-9a-f]{12}\+", hardware.hardware_record()["commit"])


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert hardware.hardware_record()["commit"] is None
