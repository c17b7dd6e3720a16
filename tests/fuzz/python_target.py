"""Runs a Python function under libFuzzer, which learns from the lines that an input reaches.

The library is built from `python_driver.cc` by `make fuzz`. Native code that the function calls is not
watched.
"""

from __future__ import annotations

import ctypes
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import FrameType, ModuleType

__all__ = ["Coverage", "fuzz"]

_TARGET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t)


class Coverage:
    """Counts ways from line to line of some modules.

    Example::

        with Coverage(counters, [parquet_pages]):
            read(data)
    """

    def __init__(self, counters: memoryview, modules: Sequence[ModuleType]) -> None:
        """Sets up counting.

        Args:
            counters: writable bytes; each way has one, which it may share.
            modules: whose functions are watched.
        """
        self._counters = counters
        # Apart by a prime, so that lines of different files fall together by chance alone.
        self._bases = {module.__file__: 7919 * (1 + number) for number, module in enumerate(modules)}
        self._last = 0
        self._before: Any = None

    def __enter__(self) -> None:
        self._counters[0] = 1  # an input that reaches nothing is one kind of input, too
        self._last = 0
        self._before = sys.gettrace()
        sys.settrace(self._called)

    def __exit__(self, *failure: object) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        base = self._bases.get(frame.f_code.co_filename)
        if base is None:
            return None
        counters, size = self._counters, len(self._counters)

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            place = base + frame.f_lineno
            way = (place ^ self._last) % size
            self._last = place << 1
            if counters[way] < 255:
                counters[way] += 1
            return line

        return line(frame, event, argument)


def fuzz(
    driver: Path,
    read: Callable[[bytes], None],
    modules: Sequence[ModuleType],
    right: tuple[type[Exception], ...],
    arguments: Sequence[str],
) -> int:
    """Calls ``read`` with inputs until libFuzzer's limits or a fault; ends the process at a fault.

    Args:
        driver: the library built from `python_driver.cc`.
        read: the reader.
        modules: of the reader; what guides the search.
        right: errors that are right answers to damaged bytes; others are faults.
        arguments: libFuzzer's options, and folders of inputs.

    Returns:
        libFuzzer's exit status.
    """
    library = ctypes.CDLL(str(driver))
    size = ctypes.c_size_t()
    library.arrowmind_fuzz_counters.restype = ctypes.POINTER(ctypes.c_uint8)
    held = library.arrowmind_fuzz_counters(ctypes.byref(size))
    array = ctypes.cast(held, ctypes.POINTER(ctypes.c_uint8 * size.value)).contents
    coverage = Coverage(memoryview(array).cast("B"), modules)

    def one(data: Any, count: int) -> int:
        try:
            with coverage:
                read(ctypes.string_at(data, count))
        except right:
            pass
        except BaseException as error:
            sys.settrace(None)
            traceback.print_exc()
            print(f"ERROR: {type(error).__name__} is no answer to damaged bytes", file=sys.stderr, flush=True)
            os.abort()  # libFuzzer keeps the input
        return 0

    words = [word.encode() for word in (sys.argv[0], *arguments)]
    return int(
        library.arrowmind_fuzz_run(len(words), (ctypes.c_char_p * (len(words) + 1))(*words), _TARGET(one))
    )
