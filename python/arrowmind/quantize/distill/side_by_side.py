"""Work on a few threads side by side, each with its share of the threads that torch may use.

Operations on a small model's tensors are too short to be shared between threads; whole passes are not. The
thread that waits for the others has no more than its share, either: threads that wait for work take time from
those that do it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["SideBySide"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class SideBySide:
    """Threads, while it is entered.

    Args:
        most: of them; fewer where torch has fewer.
    """

    def __init__(self, most: int) -> None:
        self._threads = torch.get_num_threads()
        self._workers = min(self._threads, most)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> SideBySide:
        if self._workers > 1:
            each = self._threads // self._workers
            self._pool = ThreadPoolExecutor(self._workers, "distilling", torch.set_num_threads, (each,))
            torch.set_num_threads(each)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self._threads)

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of the items."""
        return map(work, items) if self._pool is None else self._pool.map(work, items)
