"""What a result was measured on: without it a number means nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from arrowmind import _native
from arrowmind.config import KEY_VARIABLE

__all__ = ["hardware_record"]

_PACKAGES = (
    "arrowmind",
    "numpy",
    "tokenizers",
    "onnxruntime",
    "ctranslate2",
    "llama-cpp-python",
    "sentence-transformers",
    "torch",
    "transformers",
)


def hardware_record() -> dict[str, Any]:
    """Processor, instruction sets, memory, load, versions and the commit measured."""
    return {
        "cpu": _native.cpu_brand(),
        "machine": platform.machine(),
        "cpus": _native.available_cpus(),
        "isas": [isa["name"] for isa in _native.isas() if isa["enabled"]],
        "memory_bytes": psutil.virtual_memory().total,
        "load_1m": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": _versions(),
        "commit": _commit(),
        "environment": _environment(),
    }


def _environment() -> dict[str, str]:
    names = sorted(name for name in os.environ if name.startswith("ARROWMIND_") and name != KEY_VARIABLE)
    return {name: os.environ[name] for name in names}


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of the checkout this package runs from, with `+` when files differ; None outside of one."""
    folder = Path(__file__).parent
    try:
        head, changes = (
            subprocess.run(
                ["git", *words], cwd=folder, capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (
                ("rev-parse", "--short=12", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no"),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changes else "")
