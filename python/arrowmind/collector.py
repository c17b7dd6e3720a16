"""Python's collector of garbage, out of the way while much is made that stays.

Modules and what a model is opened with live as long as the process. The collector would look through all of
it again and again, and find nothing: a fifth of the time that the modules of an engine take to import.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Nothing is collected inside; afterwards it is as it was before.

    Of several threads that pause it, the first to leave has it run again: sooner than the others would wish,
    which costs time and nothing else.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
