"""What was measured of this machine, kept in a file, so that runs can be foretold without measuring again."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrowmind import _native
from arrowmind.columnar import publish_bytes
from arrowmind.engine.planning import Rates
from arrowmind.errors import OptimizationError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ensure_rates", "known_rates", "measure_rates"]

_log = get_logger("arrowmind.engine")
_LARGEST_FILE = 1 << 16
_SECONDS = 120


def known_rates(weights: Path, threads: int) -> Rates | None:
    """What was measured of this machine, this number of threads and the disk of these weights, if it was."""
    try:
        found = _stored()[_key(weights, threads)]
        rates = Rates(**{name: float(found[name]) for name in ("memory", "disk", "prompt")})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return rates if min(rates.memory, rates.disk, rates.prompt) > 0 else None


def measure_rates(weights: Path, threads: int) -> Rates:
    """Measures this machine, for a second or two and with 0.4 GB of memory, and keeps the result.

    Raises:
        OSError: the weights cannot be read.
    """
    from arrowmind.engine.machine import disk_rate, memory_rate, prompt_rate  # noqa: PLC0415  needed once

    pool = _native.ThreadPool(threads)
    rates = Rates(memory_rate(pool), disk_rate(weights), prompt_rate(pool))
    try:
        stored = _stored()
    except (OSError, ValueError):
        stored = {}
    stored[_key(weights, threads)] = asdict(rates)
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        publish_bytes(_file(), json.dumps(stored, indent=1).encode())
    except (OSError, OptimizationError) as error:
        _log.warning("what was measured of this machine is not kept", path=str(_file()), reason=str(error))
    return rates


def ensure_rates(weights: Path, threads: int) -> None:
    """Measures what is not known, in a process of its own, whose memory does not count for this one.

    Where that fails, it is logged, and nothing is foretold.
    """
    if known_rates(weights, threads) is not None:
        return
    import subprocess  # noqa: PLC0415  needed once

    words = [sys.executable, "-m", "arrowmind.engine.measurements", os.fspath(weights), str(threads)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=_SECONDS, env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("this machine could not be measured; nothing is foretold", reason=str(error))


def _key(weights: Path, threads: int) -> str:
    """Whatever changes the rates: processor, threads, instruction sets, disk."""
    names = os.uname()
    machine = f"{names.nodename} {names.machine} {os.cpu_count()}"
    return f"{machine} {os.environ.get('ARROWMIND_MAX_ISA', '')} {threads} {weights.stat().st_dev}"


def _file() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "arrowmind" / "machine.json"


def _stored() -> dict[str, Any]:
    """Everything that was measured; empty where nothing was.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else.
    """
    if not _file().is_file():
        return {}
    with _file().open("rb") as file:
        value = json.loads(file.read(_LARGEST_FILE))
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def _main(words: Sequence[str]) -> None:
    measure_rates(Path(words[0]), int(words[1]))


if __name__ == "__main__":
    _main(sys.argv[1:])
