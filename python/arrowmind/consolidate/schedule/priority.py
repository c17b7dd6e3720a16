"""The lowest place for processor and disk: what people wait for goes first."""

from __future__ import annotations

import contextlib
import os
import sys

import psutil

from arrowmind.observe import get_logger

__all__ = ["give_way"]

_log = get_logger(__name__)
_NICE = 19


def give_way() -> list[str]:
    """Puts this process behind all others, as far as the system lets it; returns what was done.

    For a process of its own: there is no way back without privileges.
    """
    done = []
    with contextlib.suppress(OSError):
        os.nice(_NICE)
        done.append("nice")
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            done.append("idle processor")
        with contextlib.suppress(OSError, psutil.Error):
            psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
            done.append("idle disk")
    _log.debug("gave_way", done=done)
    return done
