"""What is ended before the interpreter goes: threads that may be in native code.

A thread that comes back from there to an interpreter that is gone aborts the process, daemon or not.
"""

from __future__ import annotations

import atexit
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["before_exit"]

_Owner = TypeVar("_Owner")

_log = get_logger("arrowmind.engine")
_endings: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def before_exit(owner: _Owner, end: Callable[[_Owner], None]) -> None:
    """Has `end(owner)`, which ends and joins a thread, called before the interpreter goes, if it lives.

    Example::

        before_exit(self, DecodeWorker.close)
    """
    _endings[owner] = end


@atexit.register
def _end_all() -> None:
    for owner, end in list(_endings.items()):
        try:
            end(owner)
        except Exception:  # the others are ended all the same
            _log.exception("a thread could not be ended", owner=type(owner).__name__)
