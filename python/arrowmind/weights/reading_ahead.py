"""Reading parts of a file into the cache of the system before they are asked for."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["read_ahead"]

_log = get_logger("arrowmind.weights")
_PIECE = 8 << 20  # of one request: a process that ends waits for no more


def read_ahead(path: Path, ranges: Sequence[tuple[int, int]]) -> threading.Thread | None:
    """Asks for ranges of a file in the background, in their order.

    Args:
        path: the file.
        ranges: offset and size in bytes of each.

    Returns:
        What asks, for tests to wait for; None where the system takes no such requests.
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    thread = threading.Thread(target=_ask, args=(path, list(ranges)), name="read-ahead", daemon=True)
    thread.start()
    return thread


def _ask(path: Path, ranges: Sequence[tuple[int, int]]) -> None:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:  # whoever needs the bytes says so
        _log.debug("nothing is read ahead", path=str(path), reason=str(error))
        return
    try:
        for offset, size in ranges:
            for at in range(offset, offset + size, _PIECE):
                piece = min(_PIECE, offset + size - at)
                os.posix_fadvise(file, at, piece, os.POSIX_FADV_WILLNEED)
    except OSError as error:
        _log.debug("nothing more is read ahead", path=str(path), reason=str(error))
    finally:
        os.close(file)
