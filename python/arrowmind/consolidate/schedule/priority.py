"""The lowest place for processor and disk: what people wait for goes first."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import psutil

from arrowmind.consolidate.schedule.apart import yield_session
from arrowmind.observe import get_logger

__all__ = ["give_way"]

_log = get_logger(__name__)
_NICE = 19


def give_way() -> list[str]:
    """Puts this process behind all others, as far as the system lets it; returns what was done.

    For a process of its own: there is no way back without privileges. On Linux a priority is that of a
    thread, so those that libraries have started already are put behind, too; later ones inherit it. Where
    sessions share processors, that counts within this one alone: see `run_apart`.
    """
    done = []
    with contextlib.suppress(OSError):
        for thread in _threads():
            os.setpriority(os.PRIO_PROCESS, thread, _NICE)
        done.append("nice")
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for thread in _threads():
                os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
            done.append("idle processor")
        with contextlib.suppress(OSError, psutil.Error):
            psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
            done.append("idle disk")
        if yield_session():
            done.append("session")
    _log.debug("gave_way", done=done)
    return done


def _threads() -> list[int]:
    """Numbers of the threads of this process; 0, which stands for the caller, where they cannot be told."""
    try:
        return [int(path.name) for path in Path("/proc/self/task").iterdir()]
    except OSError:
        return [0]
