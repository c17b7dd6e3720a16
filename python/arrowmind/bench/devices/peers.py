"""What PyTorch does on the same device, asked of a process of its own; or why nobody can ask."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from arrowmind.bench.contenders.base import Job
from arrowmind.bench.process import WorkerError, WorkerProcess

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Peers"]

_MODULE = "arrowmind.bench.devices.peer"
# What torch calls the devices that it has; those of ROCm are `cuda` there.
_TORCH = {"cuda": "cuda", "rocm": "cuda", "mps": "mps", "cpu": "cpu"}


class Peers:
    """Asks PyTorch; each answer has `not_measured` and why, or what was measured."""

    def __init__(self, key: str, cache: Path, threads: int) -> None:
        """Starts nothing yet.

        Args:
            key: Name of the device, such as `cuda:0`.
            cache: Folder for its log.
            threads: Of the CPU.
        """
        kind, _, number = key.partition(":")
        self._kind = kind
        self._device = _TORCH.get(kind, "")
        if self._device == "cuda":
            self._device += f":{number or 0}"
        self._job = Job("torch", cache, cache / "torch", threads)

    def why_not(self, *packages: str) -> str | None:
        """Why nothing can be measured with torch and these packages; None where it can."""
        missing = [name for name in ("torch", *packages) if importlib.util.find_spec(name) is None]
        if missing:
            return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        return None if self._device else f"torch has no device for {self._kind}"

    def ask(self, do: str, *packages: str, **arguments: Any) -> dict[str, Any]:
        """One measurement, in a process that ends with it, and gives its memory of the device back."""
        if why := self.why_not(*packages):
            return {"not_measured": why}
        try:
            with WorkerProcess(self._job, module=_MODULE) as worker:
                return worker.ask(do, device=self._device, **arguments)
        except WorkerError as error:
            return {"not_measured": str(error)}
