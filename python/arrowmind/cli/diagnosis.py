"""What `arrowmind doctor` finds out: one function per room, each giving findings."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import arrowmind
from arrowmind.cli.drivers import driver_of
from arrowmind.cli.render import bytes_text
from arrowmind.errors import DeviceError, OptimizationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arrowmind.cli.session import Session
    from arrowmind.engine.device_probe import Probe

__all__ = ["BAD", "NOTE", "OK", "OPTIONAL", "REQUIRED", "Finding", "examine"]

OK = "ok"
NOTE = "note"
BAD = "bad"

# Of each kind of weights.
_WARPGROUP_KERNELS = tuple(
    f"linear_bf16_{weights}_wgmma"
    for weights in ("f32", "f16", "bf16", "i8", "i8g", "i4g", "i2g", "fp4g", "t2g", "t3g")
)

# Distribution -> smallest version, as in pyproject.toml.
REQUIRED = {
    "cryptography": "43",
    "flatbuffers": "25.2",
    "jinja2": "3.1.6",
    "nanobind-backend": "1.0",
    "numpy": "1.26",
    "prometheus-client": "0.20",
    "psutil": "5.9",
    "pyarrow": "24",
    "pyyaml": "6",
    "rich": "13",
    "structlog": "24",
    "tantivy": "0.26",
    "tokenizers": "0.21",
    "typer": "0.15",
}
# Distribution -> (the extra that brings it, what it is for).
OPTIONAL = {
    "ctranslate2": ("peers", "comparison in benchmarks"),
    "keyring": ("keyring", "keys of encrypted models in the system's keyring"),
    "llguidance": ("grammar", "generation that follows a JSON schema or a grammar"),
    "onnx": ("peers", "comparison in benchmarks"),
    "onnxruntime": ("peers", "comparison in benchmarks"),
    "sentence-transformers": ("peers", "comparison in benchmarks"),
    "starlette": ("serve", "arrowmind serve"),
    "textual": ("monitor", "the live panel of arrowmind monitor"),
    "torch": ("torch", "arrowmind.torch, calibration by distillation, comparison in benchmarks"),
    "uvicorn": ("serve", "arrowmind serve"),
}
_ENOUGH_MEMORY = 256 * 10**6
_ENOUGH_DISK = 500 * 10**6


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        room: Part of the machine or of ArrowMind.
        name: What was looked at.
        status: `ok`, `note` (worth knowing) or `bad` (something will not work).
        text: What was found.
        remedy: What to do about it, empty if nothing.
    """

    room: str
    name: str
    status: str
    text: str
    remedy: str = ""


def examine(session: Session) -> list[Finding]:
    """Everything, in the order it is printed. One failing room does not hide the others."""
    rooms: list[Callable[[Session], Iterator[Finding]]] = [
        _versions,
        _processor,
        _device,
        _devices,
        _kernels,
        _memory,
        _disk,
        _packages,
        _configuration,
        _contents,
    ]
    findings: list[Finding] = []
    for room in rooms:
        try:
            findings.extend(room(session))
        except (OptimizationError, OSError) as error:
            findings.append(Finding(room.__name__.strip("_"), "look", BAD, str(error)))
    return findings


def _versions(_session: Session) -> Iterator[Finding]:
    yield Finding(
        "versions", "arrowmind", OK, f"{arrowmind.__version__} in {Path(arrowmind.__file__).parent}"
    )
    yield Finding("versions", "python", OK, f"{platform.python_version()} ({sys.executable})")
    yield Finding("versions", "system", OK, f"{platform.system()} {platform.release()} {platform.machine()}")


def _native() -> Any:
    try:
        return importlib.import_module("arrowmind._native")
    except ImportError as error:
        raise OptimizationError(
            f"the native core is missing or does not load ({error}); `pip install .` builds it"
        ) from error


def _processor(_session: Session) -> Iterator[Finding]:
    native = _native()
    yield Finding(
        "processor", "name", OK, f"{native.cpu_brand()}, {native.available_cpus()} usable processors"
    )
    isas = native.isas()
    yield Finding("processor", "instruction sets", OK, _names(isas, "enabled"))
    absent = [isa["name"] for isa in isas if not isa["detected"]]
    if absent:
        yield Finding("processor", "not on this machine", OK, ", ".join(absent))
    forbidden = [isa["name"] for isa in isas if isa["detected"] and not isa["enabled"]]
    if forbidden:
        text = f"{', '.join(forbidden)} ({os.environ.get('ARROWMIND_MAX_ISA')} is the widest allowed)"
        yield Finding("processor", "switched off", NOTE, text, "unset ARROWMIND_MAX_ISA or device.max_isa")


def _names(rows: list[dict[str, Any]], flag: str) -> str:
    return ", ".join(row["name"] for row in rows if row[flag])


def _device(session: Session) -> Iterator[Finding]:
    _native()
    from arrowmind.engine.device import DEVICES, resolve_device  # noqa: PLC0415  needs the native core

    settings = session.config.device
    try:
        device = resolve_device(settings.name)
        yield Finding("device", settings.name, OK, f"{device}; in order of preference: {', '.join(DEVICES)}")
        if settings.vram:
            text = f"of {device}, what a model may take; the rest of it runs on the cpu"
            if device == "cpu":
                text = "there is no device whose memory a model could take"
            yield Finding("device", f"vram {settings.vram}", NOTE if device == "cpu" else OK, text)
    except DeviceError as error:
        falls_back = settings.fallback == "cpu"
        text = f"{error}" + ("; models run on the cpu" if falls_back else "")
        yield Finding("device", settings.name, NOTE if falls_back else BAD, text)


def _devices(session: Session) -> Iterator[Finding]:
    _native()
    from arrowmind.engine.device_probe import DEVICES, probe  # noqa: PLC0415  needs the native core

    settings = session.config.device
    for kind in DEVICES:
        found = probe(kind)
        for index, device in enumerate(found.devices):
            driver = f", driver {device.driver}" if device.driver else ""
            text = f"{device.name}, {bytes_text(device.total_bytes)}{driver}"
            if device.is_software:
                text += "; computes on the cpu, taken only when it is named"
            yield Finding("devices", f"{kind}:{index}", OK, text)
            if settings.precision == "mixed" and (kind, device.architecture) == ("cuda", "sm_90"):
                yield _warpgroups(f"{kind}:{index}", settings.wgmma)
        if not found.devices:
            yield _absent(found)


def _warpgroups(name: str, wanted: str) -> Finding:
    """Whether large products in mixed precision run by warpgroups there: tried, as when a model is opened."""
    from arrowmind.engine.device_probe import open_device  # noqa: PLC0415  needs the native core

    if wanted == "off":
        return Finding("devices", f"{name} wgmma", OK, "switched off by device.wgmma")
    try:
        device = open_device(name)
        found = [(kernel, device.try_wgmma(kernel)) for kernel in _WARPGROUP_KERNELS]
    except DeviceError as error:
        return Finding("devices", f"{name} wgmma", NOTE, f"not tried: {error}")
    wrong = [f"{kernel}: {words}" for kernel, words in found if words]
    if not wrong:
        text = f"a trial of {len(found)} kernels found the results of mma.sync"
        return Finding("devices", f"{name} wgmma", OK, text)
    text = f"left out for {len(wrong)} of {len(found)} kinds of weights: {wrong[0]}"
    return Finding("devices", f"{name} wgmma", NOTE, text, "report it; mma.sync serves in its place")


def _absent(found: Probe) -> Finding:
    driver = driver_of(found.kind)
    text = f"not used: {found.reason}"
    if found.is_built:
        return Finding("devices", found.kind, NOTE, f"{text} ({found.words})", found.remedy)
    if driver:
        return Finding(
            "devices", found.kind, NOTE, f"{text}; the system has a driver: {driver}", found.remedy
        )
    return Finding("devices", found.kind, OK, f"{text}; the system shows no driver either")


def _kernels(_session: Session) -> Iterator[Finding]:
    for op, rows in _by_op(_native().kernels()).items():
        chosen = [row for row in rows if row["chosen"]]
        for row in chosen:
            slow = row["isa"] == "scalar"
            remedy = "no fast kernel for this processor: results are right, but slow" if slow else ""
            yield Finding("kernels", op, NOTE if slow else OK, f"{row['name']} ({row['detail']})", remedy)
        if not chosen:
            yield Finding("kernels", op, BAD, "no kernel can run", "raise or unset ARROWMIND_MAX_ISA")


def _by_op(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    ops: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        ops.setdefault(row["op"], []).append(row)
    return ops


def _memory(_session: Session) -> Iterator[Finding]:
    import psutil  # noqa: PLC0415  only doctor needs it

    memory = psutil.virtual_memory()
    limit = _cgroup_limit()
    total = memory.total if limit is None else min(memory.total, limit)
    available = min(memory.available, total)
    text = f"{bytes_text(available)} available of {bytes_text(total)}"
    if limit is not None and limit < memory.total:
        text += f" (this container's limit; the machine has {bytes_text(memory.total)})"
    enough = available >= _ENOUGH_MEMORY
    remedy = "" if enough else f"close other programs; {bytes_text(_ENOUGH_MEMORY)} should be free"
    yield Finding("memory", "ram", OK if enough else NOTE, text, remedy)


def _cgroup_limit() -> int | None:
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        return int(text) if text.isdigit() else None
    return None


def _disk(session: Session) -> Iterator[Finding]:
    places = {"models": Path(session.config.model.path).parent, "memory": Path(session.config.memory.path)}
    for name, place in places.items():
        folder = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
        free = shutil.disk_usage(folder).free
        status, remedy = OK, ""
        if free < _ENOUGH_DISK:
            status, remedy = NOTE, f"free some space: converting a model needs {bytes_text(_ENOUGH_DISK)}"
        if not os.access(folder, os.W_OK):
            status, remedy = NOTE, f"{folder} cannot be written to; choose another folder"
        yield Finding("disk", name, status, f"{bytes_text(free)} free at {folder}", remedy)


def _packages(_session: Session) -> Iterator[Finding]:
    for name, least in REQUIRED.items():
        yield _package(name, _version(name), least)
    for name, (extra, purpose) in OPTIONAL.items():
        version = _version(name)
        if version is None:
            text = f"not installed (optional: {purpose})"
            yield Finding("packages", name, NOTE, text, f"pip install 'arrowmind[{extra}]'")
        else:
            yield Finding("packages", name, OK, f"{version} (optional: {purpose})")


def _package(name: str, version: str | None, least: str) -> Finding:
    remedy = f"pip install '{name}>={least}'"
    if version is None:
        return Finding("packages", name, BAD, "not installed", remedy)
    if _numbers(version) < _numbers(least):
        return Finding("packages", name, BAD, f"{version} is older than {least}", remedy)
    return Finding("packages", name, OK, version)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _configuration(session: Session) -> Iterator[Finding]:
    config = session.config
    yield Finding("configuration", "file", OK, config.file or "none: defaults and environment only")
    for problem in config.problems:
        yield Finding(
            "configuration", problem.key, BAD, str(problem), "`arrowmind config show` lists the keys"
        )
    if session.refusal is not None and not config.problems:
        yield Finding("configuration", "refused", BAD, str(session.refusal))


def _contents(session: Session) -> Iterator[Finding]:
    model, store = Path(session.config.model.path), Path(session.config.memory.path)
    if model.is_dir():
        yield Finding("contents", "model", OK, str(model))
    else:
        remedy = "`arrowmind convert`, then `arrowmind quantize`, make one; or set model.path"
        yield Finding("contents", "model", NOTE, f"{model} is not there", remedy)
    text = str(store) if store.is_dir() else f"{store} is not there yet; `arrowmind remember` makes it"
    yield Finding("contents", "store", OK, text)
