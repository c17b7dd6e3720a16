"""What would steal from a start: Python's collector of garbage, and threads that wait awake."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["undisturbed"]

_SPIN = "OPENBLAS_THREAD_TIMEOUT"
_SPIN_CYCLES = "16"
"""The power of two of processor cycles for which a thread of NumPy's OpenBLAS waits awake."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Modules are imported and models opened with nothing beside that takes a processor in vain.

    Both live as long as the process: the collector would look through all of it again and again, and find
    nothing, for a fifth of the time that the modules of an engine take. And threads of NumPy's OpenBLAS stay
    awake for 2^26 cycles each time, their first included: 25 ms of a processor that reads and hashes weights
    then. Where NumPy is imported inside, they sleep after 2^16 cycles, unless the environment says otherwise;
    processes that are started later inherit nothing of it.
    """
    with _collector_paused(), _blas_threads_sleep():
        yield


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Of several threads that pause it, the first to leave has it run again: slower, nothing else."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        _let_age()
        gc.enable()


def _let_age() -> None:
    """Makes all that is alive old, unseen: looked through as young, it takes 20 ms, and nothing is found.

    What somebody has frozen stays so.
    """
    if gc.get_freeze_count() == 0:
        gc.freeze()
        gc.unfreeze()


@contextmanager
def _blas_threads_sleep() -> Iterator[None]:
    if "numpy" in sys.modules or _SPIN in os.environ:
        yield
        return
    os.environ[_SPIN] = _SPIN_CYCLES
    try:
        yield
    finally:
        os.environ.pop(_SPIN, None)
