"""No wide instruction outside the kernels of its instruction set.

One inline function of the standard library compiled in x86_avx512.cc may be the copy the linker keeps for
everyone: then baseline code dies on an older processor. Looks at the object files of a build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ISA_STEM = re.compile(r"(?:\w+_)?(scalar|(?:x86|arm)_[a-z0-9]+)\.cc\.o")
# Weak symbols may come from any object of the link, and the linker keeps one.
WEAK_CODE = re.compile(r"^[0-9a-f]+ [WV] (.+)$")


def _is_crossed(build: Path) -> bool:
    return "CMAKE_TOOLCHAIN_FILE" in (build.parents[1] / "CMakeCache.txt").read_text()


def _objects() -> list[Path]:
    """Those of the latest build for this machine."""
    builds = [build for build in ROOT.glob("build/*/CMakeFiles/arrowmind_core.dir") if not _is_crossed(build)]
    builds.sort(key=lambda path: path.stat().st_mtime)
    return sorted(builds[-1].rglob("*.o")) if builds else []


@pytest.fixture(scope="module")
def objects() -> list[Path]:
    missing = [tool for tool in ("nm", "objdump") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} (binutils)")
    found = _objects()
    if not found:
        pytest.skip("no build folder with object files here; build with cmake to check it")
    if any(b"-fsanitize" in line for line in _flags(found)):
        pytest.skip("sanitizers add their own code")
    return found


def _flags(found: list[Path]) -> list[bytes]:
    cache = next(parent for parent in found[0].parents if (parent / "CMakeCache.txt").exists())
    text = (cache / "CMakeCache.txt").read_bytes()
    return [b"-fsanitize"] if re.search(rb"^ARROWMIND_SANITIZE:STRING=.+", text, re.M) else []


def _isa(path: Path) -> str | None:
    """The instruction set a kernel source is compiled for; None for baseline code."""
    stem = ISA_STEM.fullmatch(path.name)
    return stem and stem.group(1)


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_baseline_objects_use_baseline_registers(objects):
    for path in objects:
        if _isa(path) in (None, "scalar"):
            wide = re.search(r".*%[yz]mm\d.*", _run("objdump", "-d", "--no-show-raw-insn", path))
            assert wide is None, f"{path.name}: {wide.group(0).strip()}"


def test_narrow_kernels_use_no_wider_registers(objects):
    for path in objects:
        if _isa(path) == "x86_avx2":
            wide = re.search(r".*(%zmm\d|%[xy]mm(1[6-9]|[23]\d)).*", _run("objdump", "-d", path))
            assert wide is None, f"{path}: {wide.group(0).strip()}"


def _assert_nothing_shared(objects: list[Path], nm: str) -> None:
    kernels = [path for path in objects if _isa(path)]
    assert kernels
    for path in kernels:
        namespace = f"arrowmind::{_isa(path)}::"
        for line in _run(nm, "--demangle", "--defined-only", path).splitlines():
            weak = WEAK_CODE.match(line)
            if weak is None or weak.group(1).startswith("DW.ref."):
                continue
            assert namespace in weak.group(1), f"{path.parent.name}/{path.name}: {weak.group(1)}"


def test_kernels_share_no_code_with_others(objects):
    """Every weak symbol of a kernel source lives in the namespace named after its instruction set."""
    _assert_nothing_shared(objects, "nm")


def test_kernels_for_aarch64_share_no_code_with_others():
    nm = "aarch64-linux-gnu-nm"
    found = sorted((ROOT / "build/isa/aarch64/CMakeFiles/arrowmind_core.dir").rglob("*.o"))
    if not found or shutil.which(nm) is None:
        pytest.skip(f"needs the build of `make test-isa` and {nm}")
    _assert_nothing_shared(found, nm)
