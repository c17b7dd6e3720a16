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
from arrowmind.engine.device import describe_device
from arrowmind.engine.rates import DeviceRates, Rates
from arrowmind.errors import OptimizationError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["device_rates", "ensure_rates", "known_device", "known_rates", "measure_rates"]

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
    _keep(_key(weights, threads), asdict(rates))
    return rates


def _keep(key: str, found: dict[str, float]) -> None:
    """Adds what was measured to the file, or tells that it cannot."""
    try:
        stored = _stored()
    except (OSError, ValueError):
        stored = {}
    stored[key] = found
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        publish_bytes(_file(), json.dumps(stored, indent=1).encode())
    except (OSError, OptimizationError) as error:
        _log.warning("what was measured of this machine is not kept", path=str(_file()), reason=str(error))


def known_device(name: str) -> DeviceRates | None:
    """What was measured of a device, as it is described now, if it was."""
    try:
        found = _stored()[_device_key(name)]
        rates = DeviceRates(*(float(found[name]) for name in ("memory", "prompt", "bus")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return rates if min(rates.memory, rates.prompt, rates.bus) > 0 else None


def device_rates(name: str) -> DeviceRates:
    """What was measured of a device; where it never was, measures it, and keeps the result.

    Raises:
        DeviceError: it cannot be opened, or has no room for what is measured.
    """
    from arrowmind.engine.device_rates import measure_device  # noqa: PLC0415  needed once

    known = known_device(name)
    if known is not None:
        return known
    rates = measure_device(name)
    _keep(_device_key(name), asdict(rates))
    return rates


def ensure_rates(weights: Path, threads: int, device: str = "cpu") -> None:
    """Measures what is not known, in a process of its own, whose memory does not count for this one.

    Where that fails, it is logged, and nothing is foretold.
    """
    is_measured = device == "cpu" or known_device(device) is not None
    if is_measured and known_rates(weights, threads) is not None:
        return
    import subprocess  # noqa: PLC0415  needed once

    words = [sys.executable, "-m", "arrowmind.engine.measurements", os.fspath(weights), str(threads), device]
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


def _device_key(name: str) -> str:
    """A device by name, product and driver."""
    described = describe_device(name)
    return f"device {os.uname().nodename} {name} {described.get('name')} {described.get('driver')}"


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
    weights, threads, device = Path(words[0]), int(words[1]), words[2]
    if known_rates(weights, threads) is None:
        measure_rates(weights, threads)
    if device != "cpu":
        device_rates(device)


if __name__ == "__main__":
    _main(sys.argv[1:])
