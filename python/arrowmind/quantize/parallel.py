"""Independent pieces of work on all processors: NumPy lets go of the interpreter inside large arrays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from arrowmind import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["spread"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def spread(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """What ``function`` makes of each item, in their order; what one raises is raised when its turn comes."""
    threads = _native.available_cpus()
    if threads < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, "arrowmind-quantise") as pool:
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(cancel_futures=True)
