"""A session of its own for work that gives way.

Where Linux groups processes by session (autogroup, the default of most distributions), niceness and the idle
class count within a session alone: sessions share a processor evenly, whatever their processes gave up. Only
a session as a whole can give way, and that of a terminal holds other people's work. So the work is begun
again in a session of its own, and what was started stays as its door: it hands signals on and waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from arrowmind.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["is_grouped", "leads_session", "run_apart", "yield_session"]

_log = get_logger(__name__)
_IS_GROUPED = Path("/proc/sys/kernel/sched_autogroup_enabled")
_OWN_GROUP = Path("/proc/self/autogroup")
_NICE = 19
# Threads of BLAS spin while they wait for each other: of no use to work that has what processors are left.
_ALONE = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_HANDED_ON = ("SIGINT", "SIGTERM", "SIGHUP")


def is_grouped() -> bool:
    """Whether the system shares processors between sessions."""
    with contextlib.suppress(OSError):
        return _IS_GROUPED.read_text(encoding="ascii").strip() == "1" and _OWN_GROUP.exists()
    return False


def leads_session() -> bool:
    """Whether this process began its session, so that nobody else's work lies in it."""
    return os.name == "posix" and os.getsid(0) == os.getpid()


def yield_session() -> bool:
    """Puts the session of this process behind all others, if it is its own; whether that was done."""
    if not (leads_session() and is_grouped()):
        return False
    with contextlib.suppress(OSError):
        _OWN_GROUP.write_text(str(_NICE), encoding="ascii")
        return True
    return False


def run_apart(command: Sequence[str]) -> int | None:
    """Runs a program in a session of its own, where that is of use and this process leads none.

    Its matrix products take one thread each, unless the environment says otherwise.

    Args:
        command: path and words of the program.

    Returns:
        Its exit code, that of a shell for one that a signal ended; None where it is of no use: nothing has
        been done then.
    """
    if not is_grouped() or leads_session() or threading.current_thread() is not threading.main_thread():
        return None
    try:
        work = subprocess.Popen(list(command), start_new_session=True, env={**_ALONE, **os.environ})
    except OSError as error:
        _log.info("not_apart", error=str(error))
        return None
    with _handing_on(work):
        code = work.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _handing_on(work: subprocess.Popen[bytes]) -> Iterator[None]:
    """Signals that are to end this process reach the work, and this process waits for it to end."""

    def hand_on(number: int, _frame: object) -> None:
        work.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in map(_number, _HANDED_ON)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _number(name: str) -> signal.Signals:
    return signal.Signals[name]
