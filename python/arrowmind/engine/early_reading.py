"""Weights on their way from the disk before anything else is done for a model.

Nothing heavy is imported here: while modules are, and configuration and index are read, the disk works.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from arrowmind import _native
from arrowmind.errors import OptimizationError
from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_early"]

_log = get_logger("arrowmind.engine")
_WEIGHTS = "weights.arrow"


def read_early(folder: Path, *, bounded: bool) -> threading.Thread:
    """Has the system begin to read what opening a model reads of its weights in any case.

    Advice: what is wrong with the file, whoever opens it says. One native call asks for all of it: a thread
    that came back for each part would wait for the interpreter lock each time, 5 ms beside one that imports.

    Args:
        folder: of the model.
        bounded: it will have a budget of memory: only what stays is read, not what may come and go.

    Returns:
        What asks, for tests to wait for.
    """
    path = os.fsencode(folder / _WEIGHTS)
    thread = threading.Thread(target=_ask, args=(path, bounded), name="read-early", daemon=True)
    thread.start()
    return thread


def _ask(path: bytes, bounded: bool) -> None:  # noqa: FBT001 - of a thread
    try:
        _native.read_for_opening(path, bounded)
    except OptimizationError as error:
        _log.debug("nothing is read early", path=os.fsdecode(path), reason=str(error))
