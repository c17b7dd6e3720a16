"""What calls from Python take their defaults from."""

from __future__ import annotations

import subprocess
import sys

import pytest

from arrowmind.config import Config, default_config


def test_a_given_one_is_returned():
    config = Config()
    assert default_config(config) is config


def test_without_one_it_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_config().memory.top_k == 10
    (tmp_path / "arrowmind.yaml").write_text("memory: {top_k: 7}")
    assert default_config().memory.top_k == 7


SCRIPT = """
import os, pathlib
from arrowmind import _native
from arrowmind.config import default_config
default_config()
print([isa["name"] for isa in _native.isas() if isa["enabled"]])
print(os.environ["ARROWMIND_MAX_ISA"])
pathlib.Path("arrowmind.yaml").write_text("device: {max_isa: avx2}")
os.environ.pop("ARROWMIND_MAX_ISA")
default_config()
print(os.environ.get("ARROWMIND_MAX_ISA"))
"""


def test_the_first_call_tells_the_native_core(tmp_path, monkeypatch):
    monkeypatch.delenv("ARROWMIND_MAX_ISA", raising=False)
    (tmp_path / "arrowmind.yaml").write_text("device: {max_isa: scalar}")
    lines = run(SCRIPT, tmp_path).splitlines()
    assert lines == ["['scalar']", "scalar", "None"]


@pytest.mark.parametrize("home", ["arrowmind.engine", "arrowmind.memory"])
def test_reading_it_imports_no_yaml_where_there_is_no_file(tmp_path, home):
    script = f"""
import sys, time, {home}
from arrowmind.config import default_config
best = 1.0
for _ in range(20):
    start = time.perf_counter()
    default_config()
    best = min(best, time.perf_counter() - start)
assert best < 0.005, best
print([name for name in ("yaml", "pyarrow", "torch") if name in sys.modules])
"""
    assert run(script, tmp_path).strip() == "[]"


def run(script, folder):
    return subprocess.check_output([sys.executable, "-c", script], cwd=folder, timeout=60, text=True)
