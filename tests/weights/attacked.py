"""Reads hostile files in a process with little memory and time; run by test_attacks.py.

For each line "READER PATH" on standard input it prints a line of JSON: the error, the seconds it took, and
by how many bytes the process grew.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from arrowmind import _native
from arrowmind.config import load_config
from arrowmind.engine.tokenizer import TextTokenizer
from arrowmind.errors import OptimizationError
from arrowmind.weights import WeightFile, decrypt_model, open_weights
from arrowmind.weights.configuration import read_configuration
from arrowmind.weights.encryption.header import KEY
from arrowmind.weights.encryption.secret import Secret
from arrowmind.weights.manifest import read_manifest

ADDRESS_BYTES = 768 << 20  # beside what the process has once everything is imported
CPU_SECONDS = 60


def arrow(path: Path) -> None:
    with WeightFile.open(path) as weights:
        weights.verify()


def parquet(path: Path) -> None:
    with open_weights(path) as weights:
        for name in weights.names():
            weights.tensor(name)


def safetensors(path: Path) -> None:
    file = _native.SafetensorsFile.open(bytes(path))
    for name in file.names():
        file.tensor(name)


def gguf(path: Path) -> None:
    file = _native.GgufFile.open(bytes(path))
    file.metadata()
    for name in file.names():
        file.decode(name)


def tokenizer(path: Path) -> None:
    TextTokenizer(path, 64).encode(["a text"])


def config(path: Path) -> None:
    read_configuration(path.parent)


def settings(path: Path) -> None:
    load_config(path, env={}, strict=True)


def manifest(path: Path) -> None:
    read_manifest(path.parent)


def encrypted(path: Path) -> None:
    decrypt_model(path, path.with_suffix(".text"), Secret(KEY, bytes(32)))


READERS = {
    function.__name__: function
    for function in (arrow, parquet, safetensors, gguf, tokenizer, config, settings, manifest, encrypted)
}


def status(name: str) -> int:
    """A figure of /proc/self/status in bytes; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def read(name: str, path: Path) -> dict[str, object]:
    before, started = status("VmHWM"), time.process_time()
    try:
        READERS[name](path)
        kind, text = "", ""
    except OptimizationError as error:
        kind, text = "OptimizationError", str(error)
    except Exception as error:
        kind, text = type(error).__name__, str(error)
    seconds = time.process_time() - started
    return {"kind": kind, "text": text, "seconds": seconds, "grown": status("VmHWM") - before}


def main() -> None:
    import pyarrow.parquet  # noqa: F401  so that it does not count

    limit = status("VmSize") + ADDRESS_BYTES
    if limit > ADDRESS_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    for line in sys.stdin:
        name, _, path = line.rstrip("\n").partition(" ")
        print(json.dumps(read(name, Path(path))), flush=True)


if __name__ == "__main__":
    main()
