"""Weights on their way from the disk before anything else is done for a model.

Nothing heavy is imported here: while modules are, and configuration and index are read, the disk works.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from arrowmind import _native
from arrowmind.engine.endings import before_exit
from arrowmind.errors import OptimizationError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_early"]

_log = get_logger("arrowmind.engine")
_WEIGHTS = "weights.arrow"


def read_early(folder: Path, *, hashed: bool) -> _native.EarlyWeights | None:
    """Has a thread begin to read what a model keeps in memory within any budget.

    Advice: what is wrong with the file, whoever opens it says. One native call reads all of it: a thread that
    came back for each part would wait for the interpreter lock each time, 5 ms beside one that imports.

    Args:
        folder: of the model.
        hashed: what is read is compared with the hash tree.

    Returns:
        The file for who opens it; None where there is no such file, or no thread can be had.
    """
    path = folder / _WEIGHTS
    if not path.is_file():
        return None
    reading = _EarlyReading(path, hashed=hashed)
    try:
        reading.start()
    except RuntimeError as error:
        _log.debug("nothing is read early", path=str(path), reason=str(error))
        return None
    return reading.weights


class _EarlyReading:
    """The thread that reads. It keeps this alive as long as it runs, and no longer."""

    def __init__(self, path: Path, *, hashed: bool) -> None:
        self._path = path
        self.weights = _native.EarlyWeights(os.fsencode(path), hashed)
        self._thread = threading.Thread(target=self._run, name="read-early", daemon=True)

    def start(self) -> None:
        self._thread.start()
        before_exit(self, _EarlyReading.end)

    def end(self) -> None:
        """Waits for no more than what is being read."""
        self.weights.end()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.weights.read()
        except OptimizationError as error:
            _log.debug("nothing is read early", path=str(self._path), reason=str(error))
