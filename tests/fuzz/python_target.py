"""Runs a Python function under libFuzzer, which learns from the blocks of code that an input reaches.

The library is built from `python_driver.cc` by `make fuzz`. Native code that the function calls is not
watched.
"""

from __future__ import annotations

import ctypes
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from tests.fuzz.coverage import Coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import ModuleType

__all__ = ["fuzz"]

_TARGET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t)


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

    def one(data: Any, count: int) -> int:
        try:
            coverage.of(read, ctypes.string_at(data, count))
        except right:
            pass
        except BaseException as error:
            traceback.print_exc()
            print(f"ERROR: {type(error).__name__} is no answer to damaged bytes", file=sys.stderr, flush=True)
            os.abort()  # libFuzzer keeps the input
        return 0

    words = [word.encode() for word in (sys.argv[0], *arguments)]
    array_of_words = (ctypes.c_char_p * (len(words) + 1))(*words)
    with Coverage(memoryview(array).cast("B"), modules) as coverage:
        return int(library.arrowmind_fuzz_run(len(words), array_of_words, _TARGET(one)))
